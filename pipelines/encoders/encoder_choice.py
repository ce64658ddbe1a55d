"""`proven_encoder`: the encoder that `--encoder` means for a plan: software, or a tested GPU encoder.

The choice is made once, with the plan, which records the encoder and all its options. Trials run in separate
processes, because drivers crash and hang. The self-test is done once for an encoder, format, GPU, driver and
build of FFmpeg.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from models.errors import UsageError, VsrError
from pipelines.codec.encoder import OPENING
from pipelines.codec.encoder_builds import encoder_builds
from pipelines.encoders.encoder_check import SELF_TEST_FRAMES, SELF_TEST_SIZE
from pipelines.encoders.encoder_options import without_b_frames
from pipelines.hardware.graphics_driver import encoder_hardware
from pipelines.hardware.resources import computing_device
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.settings.encoder_spec import HARDWARE_CODECS, PRESETS, VENDORS
from pipelines.storage.cache_folder import forget_cached, read_cached, write_cached
from pipelines.storage.child_call import ChildFailedError, call_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = ["forget_self_tests", "proven_encoder", "self_tested", "wanted_vendor"]


_CHECK = "pipelines.encoders.encoder_check:encoder_flaw"
_TABLE = "encoders"
_SECONDS = 120.0
"""Time limit for 48 small frames, or three of any size, encoded twice and decoded; hardware needs one
second."""
_FRAMES_OF_THE_PLAN = 3
_BT709 = ColorTags(1, 1, 1, 1, 1)
_OF_DEVICE = {"cuda": "nvenc", "hip": "amf", "xpu": "qsv", "mps": "videotoolbox"}


def wanted_vendor(settings: RunSettings, *, picture: bool) -> str:
    """The vendor of the encoder that is tried; empty for software.

    The one that the user named, or for "auto" that of the GPU on which networks run.
    """
    encode = settings.encode
    if encode.encoder in VENDORS:
        if picture:
            raise UsageError(f"--encoder {encode.encoder}: pictures are encoded in software; leave it out")
        return encode.encoder
    own = encode.codec in HARDWARE_CODECS and encode.preset in PRESETS and not encode.options
    if encode.encoder == "software" or picture or not own or settings.cluster is not None:
        return ""
    return _OF_DEVICE.get(computing_device(settings.device), "")


def proven_encoder(
    settings: EncodeSettings,
    choose: Callable[[EncodeSettings], Encoder],
    vendor: str,
    *,
    tags: Callable[[Encoder], ColorTags],
    hdr: HdrMetadata,
) -> tuple[Encoder, list[str]]:
    """Return (encoder, messages for the user); a hardware encoder only if it passes its self-test.

    choose: returns the encoder for settings. vendor: maker of the hardware to try; empty for none. tags,
    hdr: what its stream has to contain. Raises UsageError if named hardware is missing or fails.
    """
    named = settings.encoder in VENDORS
    software = replace(settings, encoder="software")
    if not vendor:
        return choose(software), []
    try:
        encoder = choose(replace(settings, encoder=vendor))
        if not named and encoder.pix_fmt != choose(software).pix_fmt:
            return choose(software), [f"encoded in software: {encoder.name} would need {encoder.pix_fmt}"]
        found, flaw = _without_flaw(
            encoder, lambda one: _self_test(one) or _tried(one, tags(one), hdr, _FRAMES_OF_THE_PLAN)
        )
    except UsageError as error:
        if named:
            raise
        return choose(software), [f"encoded in software: {error}"]
    if not flaw:
        return found, [f"encoded by {found.name} ({encoder_hardware(vendor)}), which passed its self-test"]
    if named:
        raise UsageError(
            f"--encoder {settings.encoder}: {encoder.name} can't be used here: {flaw}; give --encoder"
            " software, or see `vsr doctor`"
        )
    return choose(software), [
        f"encoded in software, as {encoder.name} can't be used here: {flaw}; `vsr doctor` tests it again"
    ]


def self_tested(encoder: Encoder) -> tuple[Encoder, str]:
    """The hardware encoder, or the same without B frames, and what its self-test found; empty if it passes.

    Results are remembered.
    """
    return _without_flaw(encoder, _self_test)


def forget_self_tests() -> None:
    """Forget all results of self-tests, as a driver may have hung or crashed only once."""
    forget_cached(_TABLE)


def _without_flaw(encoder: Encoder, flaw_of: Callable[[Encoder], str]) -> tuple[Encoder, str]:
    """The encoder, or the same without B frames if only that has no flaw; and the flaw if both have one."""
    flaw = ""
    for one in (encoder, without_b_frames(encoder)):
        if one is None:
            break
        found = flaw_of(one)
        if not found:
            return one, ""
        flaw = flaw or found
    return encoder, flaw


def _self_test(encoder: Encoder) -> str:
    """Run the self-test, or remember its result; returns what is wrong, empty if it passes."""
    hardware = encoder_hardware(encoder.vendor)
    if not hardware:
        return "no such GPU is there, or its driver does not answer"
    width, height = SELF_TEST_SIZE
    small = replace(encoder, width=width, height=height, container="matroska", tag="")
    builds = encoder_builds()
    key = " | ".join(
        [
            small.name,
            small.pix_fmt,
            *(f"{k}={v}" for k, v in sorted(small.options.items())),
            hardware,
            builds["av"],
            builds["ffmpeg"],
        ]
    )
    known = read_cached(_TABLE, key)
    if isinstance(known, str):
        return known
    flaw = _tried(small, _BT709, HdrMetadata(), SELF_TEST_FRAMES)
    if OPENING not in flaw:  # it is found again quickly, and may be due to a lack of sessions
        write_cached(_TABLE, key, flaw)
    return flaw


def _tried(encoder: Encoder, color: ColorTags, hdr: HdrMetadata, frames: int) -> str:
    try:
        return str(call_in_child(_CHECK, encoder, color, hdr, frames, seconds=_SECONDS))
    except (ChildFailedError, VsrError) as error:
        return str(error)
