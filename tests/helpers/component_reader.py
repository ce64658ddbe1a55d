"""Reads samples of a frame of any pixel format, one component at a time, by FFmpeg's own description.

`av_read_image_line2` reads a component where its descriptor says it is, whatever the packing; neither
libswscale nor our code is used.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import av
import numpy as np

_FLAGS = {"big": 0, "palette": 1, "bitstream": 2, "hardware": 3, "rgb": 5, "bayer": 8, "float": 9, "xyz": 10}
"""Bits of AVPixFmtDescriptor.flags."""


class _Component(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("plane", "step", "offset", "shift", "depth")]


class Descriptor(ctypes.Structure):
    """AVPixFmtDescriptor of libavutil 57 to 60."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("count", ctypes.c_uint8),
        ("log2_chroma_w", ctypes.c_uint8),
        ("log2_chroma_h", ctypes.c_uint8),
        ("flags", ctypes.c_uint64),
        ("parts", _Component * 4),
        ("alias", ctypes.c_char_p),
    ]

    def has(self, flag: str) -> bool:
        """Whether one of `_FLAGS` is set."""
        return bool(self.flags >> _FLAGS[flag] & 1)


def _folder() -> Path:
    return Path(av.__file__).parent.parent / "av.libs"


def is_there() -> bool:
    """Whether PyAV's wheel brings FFmpeg's libraries, which can be called beside it."""
    return any(_folder().glob("libavutil*"))


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(next(_folder().glob("libavutil*"))))
    library.av_get_pix_fmt.argtypes = [ctypes.c_char_p]
    library.av_pix_fmt_desc_get.restype = ctypes.POINTER(Descriptor)
    return library


def described(name: str) -> Descriptor:
    """FFmpeg's description of a pixel format."""
    library = _library()
    return library.av_pix_fmt_desc_get(library.av_get_pix_fmt(name.encode())).contents  # type: ignore[no-any-return]


def components(frame: av.VideoFrame) -> list[np.ndarray]:
    """The samples of each component (Y, U, V or R, G, B, then alpha), as they are stored.

    uint32 of shape (height, width); float32 for formats of floats; the colours of a palette.
    """
    found = described(frame.format.name)
    if found.has("palette"):
        return _of_palette(frame)
    if frame.format.name == "uyyvyy411":
        return _of_uyyvyy(frame)
    planes = [(ctypes.c_char * p.buffer_size).from_buffer(memoryview(p)) for p in frame.planes]
    data = (ctypes.c_void_p * 4)(*[ctypes.addressof(p) for p in planes], *[None] * (4 - len(planes)))
    lines = (ctypes.c_int * 4)(*[p.line_size for p in frame.planes], *[0] * (4 - len(planes)))
    made = []
    for number in range(found.count):
        is_chroma = number in {1, 2} and found.count > 2 and not found.has("rgb")
        across, down = (found.log2_chroma_w, found.log2_chroma_h) if is_chroma else (0, 0)
        width, height = -(-frame.width >> across), -(-frame.height >> down)
        rows = np.zeros((height, width), np.uint32)
        for y in range(height):
            to = rows[y].ctypes.data_as(ctypes.c_void_p)
            _library().av_read_image_line2(to, data, lines, ctypes.byref(found), 0, y, number, width, 0, 4)
        made.append(_as_floats(rows, found.parts[number].depth) if found.has("float") else rows)
    if frame.format.name == "monow":
        made = [1 - made[0]]
    return made


def _as_floats(rows: np.ndarray, bits: int) -> np.ndarray:
    return rows.view(np.float32) if bits == 32 else rows.astype(np.uint16).view(np.float16).astype(np.float32)


def _of_palette(frame: av.VideoFrame) -> list[np.ndarray]:
    """R, G, B and alpha: PyAV hides the palette's plane, its own conversion to an array has it."""
    rgba = frame.reformat(format="rgba").to_ndarray()
    return [rgba[..., n].astype(np.uint32) for n in range(4)]


def _of_uyyvyy(frame: av.VideoFrame) -> list[np.ndarray]:
    """U Y Y V Y Y for four pixels, which the descriptor can't say."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    groups = rows[:, : -(-frame.width // 4) * 6].reshape(frame.height, -1, 6).astype(np.uint32)
    luma = groups[..., [1, 2, 4, 5]].reshape(frame.height, -1)[:, : frame.width]
    return [luma, groups[..., 0], groups[..., 3]]
