"""VP9 with frames that change their size between key frames, as live encoders do on slow connections.

No encoder here does it. `resized` rewrites the header of an inter frame bit by bit (VP9 bitstream
specification 0.6, clause 6.2); the image content is noise.
"""

from __future__ import annotations

from pathlib import Path

import av


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        self.at += count
        return int(self.text[self.at - count : self.at], 2)


def resized(path: Path, source: Path, first: int, size: tuple[int, int]) -> Path:
    """The same WebM, whose frames from `first` on are said to be of another size."""
    with av.open(str(source)) as container, av.open(str(path), "w", format="webm") as output:
        track = output.add_stream_from_template(container.streams.video[0], opaque=True)
        number = 0
        for packet in container.demux(video=0):
            if not packet.size:
                continue
            data = _said_anew(bytes(packet), size) if number == first else bytes(packet)
            made = av.Packet(len(data))
            made.update(data)
            made.pts, made.dts, made.time_base, made.duration = (
                packet.pts,
                packet.dts,
                packet.time_base,
                packet.duration,
            )
            made.is_keyframe, made.stream = packet.is_keyframe, track
            output.mux(made)
            number += 1
    return path


def _said_anew(frame: bytes, size: tuple[int, int]) -> bytes:
    """An inter frame of profile 0 that has the size of its first reference, told to be of another one."""
    bits = _Bits(frame)
    assert bits.take(2) == 2
    assert bits.take(2) == 0
    assert (bits.take(1), bits.take(1)) == (0, 1), "an inter frame"
    shown, resilient = bits.take(1), bits.take(1)
    if not shown:
        assert not bits.take(1), "not intra only"
    if not resilient:
        bits.take(2)
    bits.take(8 + 12)
    before = bits.text[: bits.at]
    assert bits.take(1), "the size of its first reference"
    behind = bits.at
    bits.take(1)
    if not bits.take(1):
        bits.take(2)
    if not resilient:
        bits.take(2)
    bits.take(2 + 6 + 3)
    if bits.take(1) and bits.take(1):
        for _ in range(4):
            bits.take(7) if bits.take(1) else None
        for _ in range(2):
            bits.take(7) if bits.take(1) else None
    bits.take(8)
    for _ in range(3):
        bits.take(5) if bits.take(1) else None
    assert not bits.take(1), "no segments"
    if bits.take(1):
        bits.take(1)
    bits.take(16)
    text = f"{before}000{size[0] - 1:016b}{size[1] - 1:016b}{bits.text[behind : bits.at]}"
    text += "0" * (-len(text) % 8)
    header = int(text, 2).to_bytes(len(text) // 8, "big")
    return header + frame[-(-bits.at // 8) :]
