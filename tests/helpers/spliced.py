"""Films with properties that change in mid-stream, and containers with more information than their packets.

They are generated, like those of `tests.media`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from tests import media
from tests.media import TICKS, Film

# --- films joined of parts


def part_packets(film: Film, container: str) -> tuple[list[av.Packet], bytes]:
    """The packets of a film as an encoder gives them for that container, and its header (extradata)."""
    buffer = io.BytesIO()
    output = av.open(buffer, "w", format=container)
    stream = media._add_film(output, film)
    packets = media.packets_of(stream, film)
    extradata = stream.codec_context.extradata or b""
    output.close()
    return packets, extradata


def joined(
    path: Path, parts: Sequence[Film], container: str, *, in_band: bool = False, gap: Fraction = Fraction(0)
) -> Path:
    """Films one behind the other in one track, each with its own headers.

    in_band: the later headers travel in the packets (as broadcasts and avc3 have them); else the container is
    told of them. gap: seconds between parts of a broadcast; without one their times overlap by what B-frames
    are delayed.
    """
    if container == "mpegts":
        return _appended(path, parts, gap)
    output = av.open("file:" + str(path), "w", format=container)
    stream = media._add_film(output, parts[0])
    start, rows = 0, []
    for number, film in enumerate(parts):
        if number == 0:
            packets = media.packets_of(stream, film)
        else:
            packets, extradata = part_packets(film, "mpegts" if in_band else container)
        base = next(p.time_base for p in packets)
        for place, packet in enumerate(packets):
            packet.pts, packet.dts = packet.pts + round(start / base), packet.dts + round(start / base)
            if number and place == 0 and not in_band and extradata:
                side = PacketSideData(packet_sidedata_type_from_literal("new_extradata"), len(extradata))
                side.update(extradata)
                packet.set_sidedata(side, move=True)
            rows.append(packet)
        start += film.frames / film.rate
    output.start_encoding()
    for packet in rows:
        packet.stream = stream
        output.mux_one(packet)
    output.close()
    return path


def _appended(path: Path, parts: Sequence[Film], gap: Fraction) -> Path:
    data, start = [], Fraction(0)
    for number, film in enumerate(parts):
        part = path.with_name(f"{path.stem}-{number}.ts")
        media.write(
            part,
            media.with_film(film, time_base=None if film.codec.startswith("mpeg") else TICKS),
            shift=start,
            container="mpegts",
        )
        data.append(part.read_bytes())
        part.unlink()
        start += film.frames / film.rate + gap
    path.write_bytes(b"".join(data))
    return path


def turned_from(source: Path, path: Path, from_frame: int) -> Path:
    """An H.264 film in Matroska that says from that packet on to be turned by 90 degrees (SEI of H.264 clause
    D.1.27).
    """
    unit = bytes((6, 47, 3, 0x08, 0x00, 0x14, 0x80))
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        film = given.streams.video[0]
        stream = output.add_stream_from_template(film)
        for number, packet in enumerate(p for p in given.demux(film) if p.size):
            made = av.Packet(
                len(unit).to_bytes(4, "big") + unit + bytes(packet) if number >= from_frame else bytes(packet)
            )
            made.pts, made.dts, made.time_base, made.is_keyframe = (
                packet.pts,
                packet.dts,
                packet.time_base,
                packet.is_keyframe,
            )
            made.stream = stream
            output.mux_one(made)
    return path


def palettes(path: Path, frames: int = 12, size: tuple[int, int] = (32, 24)) -> Path:
    """Raw 8-bit pictures in AVI with one palette for all of them, and another one half-way ("xxpc" chunks: by
    hand, FFmpeg writes none).
    """
    width, height = size
    first = b"".join(bytes((n, 255 - n, n // 2, 0)) for n in range(256))
    second = [(n, 0, 255 - n, 255) for n in range(256)]
    body = bytearray()
    index = bytearray()

    def chunk(name: bytes, data: bytes) -> None:
        nonlocal body, index
        index += name + struct.pack("<III", 0x10 if name == b"00db" else 0x100, len(body) + 4, len(data))
        body += name + struct.pack("<I", len(data)) + data

    for number in range(frames):
        if number == frames // 2:
            changes = b"".join(struct.pack("<BBBB", r, g, b, 0) for _, r, g, b in second)
            chunk(b"00pc", struct.pack("<BBH", 0, 0, 0) + changes)
        chunk(b"00db", bytes((x * 7 + y * 3 + number * 5) % 256 for y in range(height) for x in range(width)))
    header = struct.pack("<IIIIIIIIII16x", 40000, 0, 0, 0x10, frames, 0, 1, width * height, width, height)
    stream = (
        b"vids"
        + bytes(4)
        + struct.pack("<IIIIIIIIII", 0, 0, 0, 1, 25, 0, frames, width * height, 0xFFFFFFFF, 0)
        + struct.pack("<4H", 0, 0, width, height)
    )
    picture = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, width * height, 0, 0, 256, 0) + first
    strl = b"LIST" + struct.pack("<I", 4 + 8 + len(stream) + 8 + len(picture)) + b"strl"
    strl += (
        b"strh"
        + struct.pack("<I", len(stream))
        + stream
        + b"strf"
        + struct.pack("<I", len(picture))
        + picture
    )
    hdrl = (
        b"LIST"
        + struct.pack("<I", 4 + 8 + len(header) + len(strl))
        + b"hdrl"
        + b"avih"
        + struct.pack("<I", len(header))
        + header
        + strl
    )
    movi = b"LIST" + struct.pack("<I", 4 + len(body)) + b"movi" + bytes(body)
    content = b"AVI " + hdrl + movi + b"idx1" + struct.pack("<I", len(index)) + bytes(index)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    return path


def coloured(path: Path, frames: int = 16) -> Path:
    """PNG pictures in MOV, from the twelfth on with alpha."""
    import numpy as np
    from PIL import Image

    with av.open(str(path), "w") as output:
        stream = output.add_mux_stream("png", rate=25, width=32, height=24)
        stream.time_base = Fraction(1, 25)
        for number in range(frames):
            buffer = io.BytesIO()
            samples = np.full((24, 32, 3 if number < 12 else 4), number * 9, np.uint8)
            Image.fromarray(samples).save(buffer, "PNG")
            packet = av.Packet(buffer.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), number, number
            packet.is_keyframe = True
            output.mux_one(packet)
    return path


# --- boxes of MP4


_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}


def rewritten(path: Path, change: Callable[[bytes, bytes], bytes | None]) -> Path:
    """Rewrite boxes of the movie header with `change`: (kind, content) -> other content, or None to drop it.

    Samples keep their positions, because FFmpeg writes the movie header after them.
    """
    data = path.read_bytes()
    made = b""
    for kind, content in _boxes(data):
        made += _box(kind, _changed(content, change) if kind == b"moov" else content)
    path.write_bytes(made)
    return path


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _changed(data: bytes, change: Callable[[bytes, bytes], bytes | None]) -> bytes:
    made = b""
    for kind, content in _boxes(data):
        other = change(kind, content)
        if other is not None:
            made += _box(kind, _changed(other, change) if kind in _PARENTS else other)
    return made


def with_edits(path: Path, edits: Sequence[tuple[int, int]], rate: Fraction) -> Path:
    """An MP4 of one film, shown as those edits say: (first frame, number of frames) in order.

    A first frame of -1 shows nothing.
    """
    scales: dict[bytes, int] = {}

    def look(kind: bytes, content: bytes) -> bytes:
        if kind in {b"mvhd", b"mdhd"}:
            scales.setdefault(kind, struct.unpack_from(">I", content, 12)[0])
        if kind == b"ctts":
            scales.setdefault(b"first", struct.unpack_from(">i", content, 12)[0])
        return content

    rewritten(path, look)
    movie, media_scale, delay = scales[b"mvhd"], scales[b"mdhd"], scales.get(b"first", 0)
    rows = b"".join(
        struct.pack(
            ">IiI",
            round(count / rate * movie),
            -1 if first < 0 else delay + round(first / rate * media_scale),
            1 << 16,
        )
        for first, count in edits
    )

    rewritten(path, lambda kind, content: None if kind == b"edts" else content)
    table = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + rows))
    return rewritten(path, lambda kind, content: content + table if kind == b"trak" else content)


def with_sample_entry(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """An MP4 or MOV with another (first) sample entry. change: its whole content -> the new content."""

    def entry(kind: bytes, content: bytes) -> bytes:
        if kind != b"stsd":
            return content
        first = next(_boxes(content[8:]))
        return content[:8] + _box(first[0], change(first[1]))

    return rewritten(path, entry)


def with_clap(
    path: Path, width: Fraction, height: Fraction, right: Fraction = Fraction(0), down: Fraction = Fraction(0)
) -> Path:
    """An MP4 or MOV with a clean aperture; right, down: offset of its centre from that of the frame."""
    numbers = [n for part in (width, height, right, down) for n in (part.numerator, part.denominator)]
    return with_sample_entry(path, lambda entry: entry + _box(b"clap", struct.pack(">8i", *numbers)))


def with_pasp(path: Path, sar: Fraction) -> Path:
    """An MP4 or MOV with another sample aspect ratio in the container."""

    def change(entry: bytes) -> bytes:
        kept = b"".join(_box(k, c) for k, c in _boxes(entry[78:]) if k != b"pasp")
        return entry[:78] + kept + _box(b"pasp", struct.pack(">II", sar.numerator, sar.denominator))

    return with_sample_entry(path, change)


def with_display_size(path: Path, width: int, height: int) -> Path:
    """A Matroska file that says at which size its pictures are to be shown, as mkvmerge --aspect-ratio does.

    In the place of its colours.
    """
    data = path.read_bytes()
    at = data.index(b"\x54\xb2\x81\x04\x55\xb0")  # DisplayUnit, Colour (RFC 9559, section 5.1.4.1.28)
    room = 7 + (data[at + 6] & 0x7F)
    said = b"\x54\xb0\x81" + bytes([width]) + b"\x54\xba\x81" + bytes([height])
    said += b"\xec" + bytes([0x80 | room - len(said) - 2]) + bytes(room - len(said) - 2)
    path.write_bytes(data[:at] + said + data[at + room :])
    return path


def remuxed(source: Path, path: Path, container: str | None = None) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as given, av.open(str(path), "w", format=container) as output:
        film = given.streams.video[0]
        stream = output.add_stream_from_template(film)
        for packet in given.demux(film):
            if packet.size:
                packet.stream = stream
                output.mux_one(packet)
    return path


# --- photos of tiles


def tiled_photo(
    path: Path,
    codec: str = "libx265",
    *,
    columns: int = 2,
    rows: int = 2,
    side: int = 64,
    size: tuple[int, int] | None = None,
    pix_fmt: str = "yuv420p",
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    thumbnail: bool = False,
    properties: Sequence[bytes] = (),
    is_in_idat: bool = False,
) -> Path:
    """A HEIC (or with libsvtav1 an AVIF) picture of tiles (ISO/IEC 23008-12, 6.6.2.3.2), as telephones write
    them.

    size: of the whole, if it is less than that of all tiles. tags: as in `media.Film`, of the tiles.
    properties: boxes that hold for the whole, such as `irot`. is_in_idat: the grid lies in the box of items.
    """
    width, height = size or (columns * side, rows * side)
    tiles, config, kind = [], b"", b"hvc1" if codec == "libx265" else b"av01"
    for number in range(columns * rows):
        single = path.with_name(f"tile-{number}.mp4")
        film = Film(
            frames=1, size=(side, side), codec=codec, first_number=number, b_frames=0, pix_fmt=pix_fmt
        )
        media.write(single, replace(film, tags=tags))
        with av.open(str(single)) as given:
            tiles.append(b"".join(bytes(p) for p in given.demux(video=0) if p.size))
            config = given.streams.video[0].codec_context.extradata or b""
        single.unlink()
    whole = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    grid = 100
    names = [(n + 1, kind, tile) for n, tile in enumerate(tiles)]
    if thumbnail:
        names.append((50, kind, tiles[0]))
    names.append((grid, b"grid", whole))

    def full(kind: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
        return _box(kind, struct.pack(">I", version << 24 | flags) + content)

    items = b"".join(
        full(b"infe", struct.pack(">HH4s", n, 0, k) + b"\0", 2, 1 if n < 50 else 0) for n, k, _ in names
    )
    shared = _box(b"hvcC" if kind == b"hvc1" else b"av1C", config) + full(
        b"ispe", struct.pack(">II", side, side)
    )
    shared += full(b"ispe", struct.pack(">II", width, height)) + b"".join(properties)
    of_grid = bytes(range(3, 4 + len(properties)))
    links = b"".join(
        struct.pack(">HB", n, 2) + b"\x81\x02" if n != grid else struct.pack(">HB", n, len(of_grid)) + of_grid
        for n, _, _ in names
    )
    refers = _box(
        b"dimg",
        struct.pack(">HH", grid, len(tiles)) + b"".join(struct.pack(">H", n + 1) for n in range(len(tiles))),
    )
    if thumbnail:
        refers += _box(b"thmb", struct.pack(">HHH", 50, 1, grid))
    brand = b"heic" if kind == b"hvc1" else b"avif"
    head = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand)

    def meta(start: int) -> bytes:
        places, at = b"", start
        for n, _, data in names:
            inside = is_in_idat and n == grid
            places += struct.pack(">HHHHII", n, int(inside), 0, 1, 0 if inside else at, len(data))
            at += 0 if inside else len(data)
        content = full(b"hdlr", bytes(4) + b"pict" + bytes(13)) + full(b"pitm", struct.pack(">H", grid))
        content += full(b"iloc", struct.pack(">BBH", 0x44, 0, len(names)) + places, 1) + full(
            b"iinf", struct.pack(">H", len(names)) + items
        )
        content += full(b"iref", refers) + (_box(b"idat", whole) if is_in_idat else b"")
        content += _box(b"iprp", _box(b"ipco", shared) + full(b"ipma", struct.pack(">I", len(names)) + links))
        return full(b"meta", content)

    start = len(head) + len(meta(0)) + 8
    inside = [data for n, _, data in names if not (is_in_idat and n == grid)]
    path.write_bytes(head + meta(start) + _box(b"mdat", b"".join(inside)))
    return path
