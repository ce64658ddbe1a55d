"""`ResizeDetector`: whether the headers of frames between key frames give a size.

Live encoders send such frames on slow connections. VP9: bitstream specification 0.6; AV1: bitstream and
decoding process specification, version 1.0.0 with errata 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.media.bitstream import obus_at

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ResizeDetector"]


class ResizeDetector:
    """Examines packets of VP9 or AV1 in decoding order; finds nothing for other codecs."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._sequence: _Sequence | None = None

    def sees_a_size(self, data: memoryview) -> bool:
        """Whether a packet contains an inter frame with a size in its header, even if it is the same size."""
        if self._codec == "vp9":
            return any(map(_vp9_tells_a_size, _vp9_frames(data)))
        return self._codec == "av1" and self._av1_sees_a_size(bytes(data))

    def _av1_sees_a_size(self, data: bytes) -> bool:
        found = False
        for kind, start, end in obus_at(data):
            if kind == _SEQUENCE_HEADER:
                self._sequence = _sequence(data[start:end])
            elif kind in _FRAME_HEADERS and self._sequence is not None:
                found = found or _av1_tells_a_size(data[start : min(end, start + 16)], self._sequence)
        return found


class _Bits:
    """Reads the bits of a header in order, and zeros after its end."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._value, self._left = int.from_bytes(bytes(data), "big"), 8 * len(data)

    def take(self, count: int = 1) -> int:
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)

    def take_uvlc(self) -> int:
        """Read a number of variable length, uvlc() (clause 4.10.3)."""
        zeros = 0
        while zeros < 32 and not self.take():
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros) if zeros < 32 else (1 << 32) - 1


# --- VP9


def _vp9_frames(data: memoryview) -> Iterator[memoryview]:
    """The frames of a packet, which may be a superframe (annex B).

    The last byte of a superframe gives the number of frames and the size of the length fields before it.
    """
    mark = data[-1] if len(data) else 0
    count, length = (mark & 7) + 1, (mark >> 3 & 3) + 1
    index = 2 + count * length
    if mark & 0xE0 != 0xC0 or len(data) <= index or data[-index] != mark:
        yield data
        return
    at, sizes = 0, data[1 - index : -1]
    for place in range(0, len(sizes), length):
        size = int.from_bytes(sizes[place : place + length], "little")
        yield data[at : at + size]
        at += size


def _vp9_tells_a_size(frame: memoryview) -> bool:
    """Whether an inter frame gives a size instead of using that of a reference (clauses 6.2 and 7.2)."""
    bits = _Bits(frame[:8])
    if bits.take(2) != 2:
        return False
    low, high = bits.take(), bits.take()
    if low and high:
        bits.take()
    if bits.take():  # show_existing_frame
        return False
    is_inter, is_shown, is_resilient = bits.take(), bits.take(), bits.take()
    if not is_inter:
        return False
    is_alone = not is_shown and bits.take()
    bits.take(0 if is_resilient else 2)
    if is_alone:
        return True
    bits.take(8 + 3 * 4)  # flags of the replaced frames, and three references
    return not bits.take()


# --- AV1

_SEQUENCE_HEADER, _FRAME_HEADERS = 1, frozenset({3, 6, 7})
"""Types of OBU (clause 6.2.2): sequence header; frame header, frame, redundant frame header."""
_KEY_FRAME, _SWITCH_FRAME = 0, 3
_CHOSEN_BY_FRAME = 2
"""SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV: every frame header has its own flag."""


@dataclass(frozen=True)
class _Sequence:
    """The fields of a sequence header that are needed to read frame headers."""

    is_still: bool = False
    """A still image: frames have reduced headers, and one size."""
    presentation_bits: int = 0
    """Length of the presentation time in the headers of shown frames; 0 if there is none."""
    id_bits: int = 0
    """Length of the frame id in frame headers; 0 if there is none."""
    screen_content: int = _CHOSEN_BY_FRAME
    integer_motion: int = _CHOSEN_BY_FRAME


def _sequence(data: bytes) -> _Sequence:
    """Parse a sequence header (clause 5.5.1)."""
    bits = _Bits(data)
    bits.take(4)  # profile, still picture
    if bits.take():
        return _Sequence(is_still=True)
    presentation_bits = _operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width_bits)
    bits.take(height_bits)
    id_bits = bits.take(4) + 2 + bits.take(3) + 1 if bits.take() else 0
    bits.take(7)  # superblock size, and enabled tools
    if bits.take():  # order hints are enabled
        bits.take(2)
    screen_content = _CHOSEN_BY_FRAME if bits.take() else bits.take()
    integer_motion = _CHOSEN_BY_FRAME
    if screen_content and not bits.take():
        integer_motion = bits.take()
    return _Sequence(False, presentation_bits, id_bits, screen_content, integer_motion)


def _operating_points(bits: _Bits) -> int:
    """Skip timing and operating points; returns the length of a frame's presentation time in bits."""
    delay_bits = presentation_bits = 0
    if bits.take():  # timing
        bits.take(64)
        is_even = bits.take()
        if is_even:
            bits.take_uvlc()
        if bits.take():  # decoder model
            delay_bits = bits.take(5) + 1
            bits.take(37)
            presentation_bits = bits.take(5) + 1
            presentation_bits = 0 if is_even else presentation_bits
    has_display_delay = bits.take()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take()
        if delay_bits and bits.take():
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take():
            bits.take(4)
    return presentation_bits


def _av1_tells_a_size(header: bytes, sequence: _Sequence) -> bool:
    """Whether frame_size_override_flag is set in the header of an inter frame (clause 5.9.2)."""
    bits = _Bits(header)
    if sequence.is_still or bits.take():  # show_existing_frame
        return False
    kind, is_shown = bits.take(2), bits.take()
    if is_shown:
        bits.take(sequence.presentation_bits)
    else:
        bits.take()
    if kind == _KEY_FRAME:
        return False  # key frames are checked elsewhere
    if kind == _SWITCH_FRAME:
        return True
    bits.take(2)  # error_resilient_mode, disable_cdf_update
    allows_screen_content = (
        bits.take() if sequence.screen_content == _CHOSEN_BY_FRAME else sequence.screen_content
    )
    if allows_screen_content and sequence.integer_motion == _CHOSEN_BY_FRAME:
        bits.take()
    bits.take(sequence.id_bits)
    return bool(bits.take())
