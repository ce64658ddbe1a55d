"""Reads dynamic HDR metadata of a file's packets with a parser that is independent of the project's.

FFmpeg splits the packets; this module reads them.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData


def carried(path: Path) -> list[tuple[Fraction, bytes, bytes]]:
    """(seconds, HDR10+ message, RPU) of the film's packets in display order; a message begins with its country code, an RPU with its header."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        is_av1 = stream.codec_context.codec.canonical_name == "av1"
        split = None if is_av1 else BitStreamFilterContext("hevc_mp4toannexb", in_stream=stream)
        for packet in container.demux(stream):
            for whole in split.filter(packet) if split is not None and packet.size else [packet]:
                if whole.size:
                    messages = _of_av1(bytes(whole)) if is_av1 else _of_hevc(bytes(whole))
                    found.append((Fraction(whole.pts * whole.time_base), *messages))
    return sorted(found)


def _of_hevc(data: bytes) -> tuple[bytes, bytes]:
    units = [unit.rstrip(b"\0") for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    rpus = [unit for unit in units if unit[0] >> 1 == 62]
    assert len(rpus) <= 1
    assert not rpus or units[-1] == rpus[0], "an RPU is the last unit of its access unit"
    return b"".join(_plus(unit) for unit in units if unit[0] >> 1 == 39), b"".join(rpus)


def _plus(unit: bytes) -> bytes:
    """The HDR10+ message of an SEI unit that holds it alone."""
    body, zeros = bytearray(), 0
    for byte in unit[2:]:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        body.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    if body[0] != 4:
        return b""
    size, at = 0, 1
    while body[at] == 255:
        size, at = size + 255, at + 1
    message = bytes(body[at + 1 : at + 1 + size + body[at]])
    return message if message[:6] == bytes.fromhex("b5003c000104") else b""


def _of_av1(data: bytes) -> tuple[bytes, bytes]:
    plus = rpu = b""
    stream, since_frame = io.BytesIO(data), False
    kinds = []
    while head := stream.read(1):
        kind, size, shift = head[0] >> 3 & 15, 0, 0
        assert head[0] & 2, "a unit without its size"
        while True:
            byte = stream.read(1)[0]
            size, shift = size | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        content = stream.read(size)
        kinds.append(kind)
        since_frame = True if kind in {3, 6} else since_frame
        if kind == 5 and content[0] == 4:
            assert content[-1] == 0x80
            message = content[1:-1]
            plus = message if message[:6] == bytes.fromhex("b5003c000104") else plus
            rpu = message if message[:7] == bytes.fromhex("b5003b00000800") else rpu
            kinds[-1] = 100
    if plus or rpu:  # in front of the frame that is shown, the last one
        assert not any(kind in {3, 6} for kind in kinds[kinds.index(100) :][:1])
        last_frame = max(n for n, kind in enumerate(kinds) if kind in {3, 6})
        assert kinds[last_frame - 1] == 100
    return plus, rpu


def decoded_side_data(path: Path, kind: SideData, *, strictly: bool = False) -> list[bytes | None]:
    """What FFmpeg's decoder hands on with each frame, in display order. strictly: checksums count."""
    with av.open(str(path)) as container:
        found = []
        if strictly:
            container.streams.video[0].codec_context.options = {"err_detect": "crccheck+explode"}
        for frame in container.decode(video=0):
            data = SideDataContainer(frame).get(kind)
            found.append(None if data is None else bytes(data))
    return found


def configuration(path: Path) -> bytes:
    """The Dolby Vision record of a file's first film as FFmpeg's demuxer reads it: 24 bytes, none where it has no such."""
    with av.open(str(path)) as container:
        stream, echo = container.streams.video[0], io.BytesIO()
        made = av.open(echo, "w", format="matroska")
        track = made.add_mux_stream(
            stream.codec_context.codec.canonical_name, rate=25, width=stream.width, height=stream.height
        )
        track.time_base = stream.time_base
        BitStreamFilterContext("null", in_stream=stream, out_stream=track)
        made.start_encoding()
        made.close()
    data = echo.getvalue()
    at = max(data.find(b"\x41\xe7\x84" + name) for name in (b"dvvC", b"dvcC"))
    return data[at + 10 : at + 34] if at >= 0 else b""
