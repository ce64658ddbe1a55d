"""`choose_dynamic_hdr`: which dynamic HDR metadata of a film is kept, and why."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pipelines.media.cicp import Transfer
from pipelines.media.dolby_vision import COMPATIBILITY, parse_rpu
from pipelines.media.dynamic_hdr import dynamic_hdr_of

if TYPE_CHECKING:
    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["choose_dynamic_hdr", "enhancement_layers"]


_RPU_CODECS = {8: "hevc", 10: "av1"}
"""Profile of an RPU -> the only codec that supports it."""
_RPU_FORMAT = "yuv420p10le"
"""The only format of profiles 8 and 10."""


def choose_dynamic_hdr(info: VideoInfo, plan: Plan, wanted: str) -> tuple[tuple[str, ...], list[str]]:
    """Return (kinds that are kept: "hdr10+", "dolby-vision"; messages for the user).

    wanted: "keep" or "drop".
    """
    found = info.dynamic_hdr
    kept, said = [], []
    if found.hdr10_plus:
        why = found.hdr10_plus_flaw or _against_hdr10_plus(plan) if wanted == "keep" else _ASKED
        if why:
            said.append(f"the result will be without its HDR10+ metadata: {why}")
        else:
            kept.append("hdr10+")
            said.append("its HDR10+ metadata goes with every frame")
    if found.dolby_vision or found.dolby_vision_flaw:
        profile = found.dolby_vision
        why = found.dolby_vision_flaw or _against_dolby_vision(profile, plan) if wanted == "keep" else _ASKED
        if why:
            said.append(
                f"the result will be without its Dolby Vision metadata, of its base layer alone: {why}"
            )
        else:
            kept.append("dolby-vision")
            base = COMPATIBILITY[Transfer(plan.color.transfer)]
            said.append(f"its Dolby Vision metadata goes with every frame, as profile {profile}.{base}")
    return tuple(kept), said


def enhancement_layers(info: VideoInfo) -> list[tuple[Stream, str]]:
    """Enhancement-layer streams, as on discs with Dolby Vision, and why they are dropped."""
    why = "it is the enhancement layer of Dolby Vision, and fits the pictures of the source alone"
    return [(s, why) for s in info.streams if s.type == "video" and s.codec == "hevc" and _is_layer(info, s)]


def _is_layer(info: VideoInfo, stream: Stream) -> bool:
    """Whether its first packets contain RPUs of two layers, with start codes or lengths."""
    for packet in info.samples.get(stream.index, ()):
        for length_size in (0, 4):
            unit = dynamic_hdr_of("hevc", packet.data, length_size).dolby_vision
            with contextlib.suppress(ValueError):
                if unit and parse_rpu(unit).profile in _LAYERED:
                    return True
    return False


_LAYERED = frozenset({4, 7})
_ASKED = "by --dynamic-hdr drop"
_OTHER_TRANSFER = "the result has another transfer"


def _against_hdr10_plus(plan: Plan) -> str:
    codec = plan.encoder.codec
    if codec not in {"hevc", "av1"}:
        return f"{codec} has none; --codec hevc keeps it"
    return "" if plan.out_color.transfer == plan.color.transfer else _OTHER_TRANSFER


def _against_dolby_vision(profile: int, plan: Plan) -> str:
    codec = _RPU_CODECS.get(profile)
    if profile in _LAYERED:
        return f"in profile {profile} it is of two layers"
    if codec is None or plan.color.transfer not in COMPATIBILITY:
        return "only that of profiles 8 and 10 over HDR10 or HLG can be carried over"
    if plan.encoder.codec != codec:
        return f"profile {profile} is {codec}'s alone; --codec {codec} keeps it"
    if plan.out_pix_fmt != _RPU_FORMAT:
        return f"it needs {_RPU_FORMAT}"
    if plan.encoder.container == "webm":
        return "WebM does not know it; name an output that ends in .mkv or .mp4"
    return "" if plan.out_color.transfer == plan.color.transfer else _OTHER_TRANSFER
