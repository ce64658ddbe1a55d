"""Software encoders that simulate hardware encoders, and drivers that fail as real ones do.

They are called by name, in child processes.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import av
import pytest

import pipelines.codec.encoder as encoder_module
from pipelines.codec.encoder import EncodedChunk, encode_chunk
from pipelines.encoders.encoder_check import encoder_flaw
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.video_info import Frame
from pipelines.settings.encoder_spec import Encoder

_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "18", "x264-params": "bframes=2:b-adapt=0:scenecut=0"},
    "libx265": {
        "preset": "ultrafast",
        "crf": "18",
        "x265-params": "log-level=none:info=0:bframes=2:scenecut=0",
    },
    "libsvtav1": {"preset": "8", "crf": "20"},
}
_SEMI_PLANAR = {"yuv420p": "nv12", "yuv420p10le": "p010le"}


@dataclass(frozen=True)
class StandIn(Encoder):
    """Software that simulates hardware."""

    @property
    def vendor(self) -> str:
        return "nvenc"

    @property
    def fed_format(self) -> str:
        return (
            _SEMI_PLANAR.get(self.pix_fmt, self.pix_fmt)
            if self.name == "libx264" and self.pix_fmt == "yuv420p"
            else self.pix_fmt
        )


def stand_in(
    codec: str = "h264",
    *,
    size: tuple[int, int] = (128, 96),
    pix_fmt: str = "yuv420p",
    container: str = "matroska",
    **more: Any,
) -> StandIn:
    """An encoder for a codec; more: other fields."""
    name = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}[codec]
    return StandIn(codec, name, *size, pix_fmt, _OPTIONS[name], 1, container, **more)


def made_stand_in(encoder: Encoder) -> StandIn:
    """Use software in place of a hardware encoder."""
    own = stand_in(
        encoder.codec,
        size=(encoder.width, encoder.height),
        pix_fmt=encoder.pix_fmt,
        container=encoder.container,
    )
    return dataclasses.replace(own, tag=encoder.tag)


def _with_frames(change: Callable[[list[Frame]], list[Frame]]) -> Callable[..., EncodedChunk]:
    return lambda frames, *given, **named: encode_chunk(change(list(frames)), *given, **named)


def _repeat(frames: list[Frame]) -> list[Frame]:
    frames[20] = replace(frames[20], planes=frames[19].planes)
    return frames


def _swap(frames: list[Frame]) -> list[Frame]:
    frames[20], frames[21] = (
        replace(frames[20], planes=frames[21].planes),
        replace(frames[21], planes=frames[20].planes),
    )
    return frames


def _lose_last(frames: list[Frame]) -> list[Frame]:
    return frames[:-1]


def _with_other_range(frames: list[Frame]) -> list[Frame]:
    """A driver that takes the values for full range, and makes limited of them."""
    return [
        replace(f, planes=[(16 + p.astype("float64") * 219 / 255).round().astype(p.dtype) for p in f.planes])
        for f in frames
    ]


def _black_square(frames: list[Frame]) -> list[Frame]:
    planes = [plane.copy() for plane in frames[30].planes]
    planes[0][16:32, 96:112] = 0  # in a light bar
    frames[30] = replace(frames[30], planes=planes)
    return frames


def _later(frames: list[Frame]) -> list[Frame]:
    return [replace(frame, pts=frame.pts + 1) for frame in frames]


def _with_other_tags(frames: Iterable[Frame], *given: Any, color: ColorTags, **named: Any) -> EncodedChunk:
    return encode_chunk(frames, *given, color=replace(color, primaries=9), **named)


def _crash(*_: Any, **__: Any) -> EncodedChunk:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def _hang(*_: Any, **__: Any) -> EncodedChunk:
    time.sleep(60)
    raise AssertionError


_CALLS: Iterator[int] = count()


def _with_another_header(frames: Iterable[Frame], *given: Any, **named: Any) -> EncodedChunk:
    made = encode_chunk(frames, *given, **named)
    return replace(made, header_sha256=f"{next(_CALLS)}")


def _busy(frames: Iterable[Frame], *given: Any, **named: Any) -> EncodedChunk:
    def no_session(*_: Any) -> Any:
        av.logging.log(
            av.logging.ERROR, "h264_nvenc", "OpenEncodeSessionEx failed: out of memory (10): (no details)"
        )
        raise OSError("no session")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "_Muxer", no_session)
        return encode_chunk(frames, *given, **named)


def _never_the_same(frames: Iterable[Frame], index: int, encoder: Encoder, **named: Any) -> EncodedChunk:
    return encode_chunk(
        frames, index, replace(encoder, options={**encoder.options, "crf": str(18 + next(_CALLS))}), **named
    )


WAYS: dict[str, Callable[..., EncodedChunk]] = {
    "good": encode_chunk,
    "lose last": _with_frames(_lose_last),
    "range": _with_frames(_with_other_range),
    "black square": _with_frames(_black_square),
    "header": _with_another_header,
    "busy": _busy,
    "lose": _with_frames(lambda frames: frames[:20] + frames[21:]),
    "repeat": _with_frames(_repeat),
    "swap": _with_frames(_swap),
    "shift": _with_frames(_later),
    "tags": _with_other_tags,
    "crash": _crash,
    "hang": _hang,
    "vary": _never_the_same,
}
"""What a driver does -> the encoder in its place."""


def flaw_of(way: str, encoder: Encoder, color: ColorTags, hdr: HdrMetadata, frames: int) -> str:
    """The self-test of one of WAYS."""
    return encoder_flaw(encoder, color, hdr, frames, encode=WAYS[way])
