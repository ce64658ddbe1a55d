"""Versions of the libraries that decode, filter and encode, and options that make their bytes repeatable.

Other builds may turn the same frames into other bytes.
"""

from __future__ import annotations

import ctypes
import functools
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.video.codeccontext import VideoCodecContext

__all__ = ["encoder_builds", "repeatable_options"]


_SHAPING = ("libavcodec", "libavfilter", "libavformat", "libavutil", "libswscale")
_ASKED_PX = 64
"""Side of the single frame given to x264 and x265 so that they write their version into the stream."""
_SIGNED = {
    "libx264": (rb"x264 - (core [ -~]+?) - H\.264", {"preset": "ultrafast"}),
    "libx265": (
        rb"x265 ([ -~]+?) - H\.265",
        {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1:info=1"},
    ),
}
"""Encoder -> the pattern of its signature in a stream, and options that make it write one."""
_ABSENT, _SILENT = "none", "unknown"
_MACROBLOCK_PX = 16
_MACROBLOCKS_AT_ONCE = 8
"""x264's AVX-512 code for macroblock trees reads so many at once, beyond the end of a row: memory that was
never set. Its AVX2 code does not."""


@functools.cache
def encoder_builds() -> dict[str, str]:
    """Library -> version: av, ffmpeg, x264, x265, svtav1.

    "none" if FFmpeg was built without it, "unknown" if it doesn't report its version.
    """
    versions = ", ".join(
        f"{name.removeprefix('lib')} {'.'.join(map(str, av.library_versions[name]))}" for name in _SHAPING
    )
    return {
        "av": av.__version__,
        "ffmpeg": f"{av.ffmpeg_version_info} ({versions})",
        "x264": _signature("libx264"),
        "x265": _signature("libx265"),
        "svtav1": _svt_version(),
    }


def repeatable_options(name: str, width_px: int, options: Mapping[str, str]) -> dict[str, str]:
    """The options of an encoder, changed if need be so that its bytes do not depend on unset memory.

    name: FFmpeg's name of the encoder. width_px: width of the frames it gets.
    """
    given = options.get("x264-params", "")
    fits = -(-width_px // _MACROBLOCK_PX) % _MACROBLOCKS_AT_ONCE == 0
    if name == "libx264" and not fits and "asm=" not in given and _has_avx512():
        return {**options, "x264-params": f"{given}:asm=avx2".removeprefix(":")}
    return dict(options)


@functools.cache
def _has_avx512() -> bool:
    try:
        return "avx512bw" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _signature(name: str) -> str:
    """The signature that x264 or x265 writes into a stream; takes some milliseconds."""
    pattern, options = _SIGNED[name]
    try:
        context: VideoCodecContext = av.CodecContext.create(name, "w")  # type: ignore[assignment]
        context.width = context.height = _ASKED_PX
        context.pix_fmt, context.time_base, context.thread_count, context.options = (
            "yuv420p",
            Fraction(1, 25),
            1,
            options,
        )
        frame = av.VideoFrame(_ASKED_PX, _ASKED_PX, "yuv420p")
        frame.pts = 0
        stream = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    except av.codec.codec.UnknownCodecError:
        return _ABSENT
    except (av.error.FFmpegError, ValueError, OSError):
        return _SILENT
    found = re.search(pattern, stream)
    return str(found[1], "ascii") if found else _SILENT


def _svt_version() -> str:
    """Version of SVT-AV1, read from its library, because it writes no signature into its streams."""
    if "libsvtav1" not in av.codecs_available:
        return _ABSENT
    for path in _loaded("svtav1enc"):
        try:
            library = ctypes.CDLL(path)
            library.svt_av1_get_version.restype = ctypes.c_char_p
            return str(library.svt_av1_get_version().decode("ascii", "replace"))
        except (OSError, AttributeError):
            continue
    return _SILENT


def _loaded(name: str) -> list[str]:
    """Paths of this process's shared libraries of that name.

    Without /proc, the libraries that came with PyAV.
    """
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        paths = {fields[5] for line in lines if len(fields := line.split(maxsplit=5)) == 6}
    except OSError:
        home = Path(av.__file__).parent
        paths = {
            str(path) for folder in (home / ".dylibs", home.with_name("av.libs")) for path in folder.glob("*")
        }
    return sorted(path for path in paths if name in Path(path).name.lower())
