"""`flaw_of` a file: whether its lengths and checksums show that it is truncated or damaged.

After damage, demuxers search for the next known structure, and they end silently at a truncation, so frames
would be lost without notice. Only headers are read, and clusters that have a checksum. Matroska: RFC 9559 and
RFC 8794 (EBML); MP4: ISO/IEC 14496-12 clause 4.2; MPEG-TS: ISO/IEC 13818-1 clause 2.4.3; FLV: Adobe's Video
File Format Specification 10.1, annex E.4; AVI: Microsoft's RIFF; ASF: Microsoft's ASF 1.2, section 3.2 and 5;
MXF: SMPTE ST 377-1, clause 7; Ogg: RFC 3533; GIF: CompuServe's GIF89a; Y4M: yuv4mpeg(5).
"""

from __future__ import annotations

import os
from dataclasses import replace

from pipelines.file_parsing.file_bytes import FileBytes, Flaw, top_boxes, truncation_flaw, unknown_data_flaw
from pipelines.file_parsing.matroska import CLUSTER, EBML, matroska_flaw, top_elements

__all__ = ["appended_film", "detects_truncation", "flaw_of", "header_bytes", "lacks_index"]


def flaw_of(path: str | os.PathLike[str], format_name: str) -> Flaw | None:
    """The first flaw of a file that FFmpeg's demuxer `format_name` reads.

    None if there is none, or the container has no lengths.
    """
    walk = _WALKS.get(format_name.partition(",")[0])
    if walk is None:
        return None
    with open(path, "rb", buffering=0) as file:
        return walk(FileBytes(file.fileno()))


def detects_truncation(format_name: str) -> bool:
    """Whether `flaw_of` finds every truncation.

    True if the container stores the length of each packet (MPEG-TS does not), or holds one image.
    """
    return format_name.partition(",")[0] in {
        "matroska",
        "mov",
        "flv",
        "avi",
        "image2",
    } or format_name.endswith("_pipe")


def header_bytes(path: str | os.PathLike[str]) -> int:
    """Size of the largest part of an MP4 or Matroska file that is read into memory when opened.

    This may be its index or its tags.
    """
    with open(path, "rb", buffering=0) as handle:
        file = FileBytes(handle.fileno())
        head = file.read(0, 12)
        if int.from_bytes(head[:4], "big") == EBML:
            return max((size for name, size in top_elements(file) if name != CLUSTER), default=0)
        if head[4:8] in _FIRST_BOXES:
            return max(
                (size for name, _, size in top_boxes(file) if name in {b"moov", b"meta", b"moof", b"udta"}),
                default=0,
            )
    return 0


def lacks_index(path: str | os.PathLike[str]) -> bool:
    """Whether an MP4 or MOV file has no sample index.

    It has neither a `moov` box, which recorders write last and which is therefore missing from a truncated
    recording, nor a `moof`, nor the `meta` of a photo (HEIC, AVIF).
    """
    with open(path, "rb", buffering=0) as handle:
        file = FileBytes(handle.fileno())
        return file.read(0, 8)[4:8] in _FIRST_BOXES and not {b"moov", b"moof", b"meta"} & {
            name for name, _, _ in top_boxes(file)
        }


def appended_film(path: str | os.PathLike[str], *, fragments: bool = False) -> int:
    """Position of a second MP4 or MOV in a file, as when files were concatenated; 0 if there is none.

    FFmpeg and players show only the first one. fragments: also examine files with fragments, which may repeat
    their `moov`; without it, the result for them is 0.
    """
    begins, kinds = 0, []
    with open(path, "rb", buffering=0) as handle:
        for kind, at, _ in top_boxes(FileBytes(handle.fileno())):
            if kind == b"ftyp" and b"moov" in kinds:
                begins = begins or at
            kinds.append(kind)
    return begins if kinds.count(b"moov") > 1 and (b"moof" in kinds) == fragments else 0


_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp", b"pnot"})


def _mp4(file: FileBytes) -> Flaw | None:
    at = 0
    kinds: set[bytes] = set()
    while at + 8 <= file.size:
        head = file.read(at, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0:
            return None  # to the end of the file
        if size < 8:
            # Cameras append data that is not a box. After the samples and a `moov` that lists all of them, it
            # can't be a part of the film.
            return replace(
                unknown_data_flaw(at), at_the_end={b"moov", b"mdat"} <= kinds and b"moof" not in kinds
            )
        if at + size > file.size:
            return truncation_flaw(file.size, at + size)
        kinds.add(head[4:8])
        at += size
    return None


def _mpegts(file: FileBytes) -> Flaw | None:
    head = file.read(0, 5 * 208)
    for length, lead in ((188, 0), (192, 4), (204, 0)):
        for offset in range(min(length, max(0, len(head) - 4 * length))):
            if all(head[offset + lead + n * length] == 0x47 for n in range(4)):
                part = (file.size - offset) % length
                if not part:
                    return None
                if any(file.read(file.size - part - n * length + lead, 1) != b"G" for n in range(1, 4)):
                    return Flaw(
                        "is broken: its last packets are out of step with the first, so bytes are missing"
                        " between them"
                    )
                # If a packet has no stream number, the frames show whether one of them is cut.
                begun = file.read(file.size - part + lead, 3)
                is_nameless = part < lead + 3
                flags = -1 if is_nameless else int.from_bytes(begun[1:], "big")
                text = f"ends early: in the middle of a packet, {part} of {length} bytes are there"
                # Bit 14: the packet begins a new picture or block of sound.
                return Flaw(
                    text,
                    at_the_end=True,
                    spared=is_nameless or bool(flags & 0x4000),
                    cut_track=-1 if is_nameless else flags & 0x1FFF,
                )
    return None


def _flv(file: FileBytes) -> Flaw | None:
    at = int.from_bytes(file.read(5, 4), "big") + 4
    while at < file.size:
        head = file.read(at, 11)
        if len(head) < 11:
            return truncation_flaw(file.size, at + 15)
        if head[0] & 0x1F not in {8, 9, 18} or head[8:11] != bytes(3):
            return unknown_data_flaw(at)
        end = at + 11 + int.from_bytes(head[1:4], "big") + 4
        if end > file.size + 4:  # some writers leave the last length out
            return truncation_flaw(file.size, end)
        at = end
    return None


def _avi(file: FileBytes) -> Flaw | None:
    size = int.from_bytes(file.read(4, 4), "little")
    # A recorder that was stopped leaves 0 or the largest number here.
    return (
        truncation_flaw(file.size, size + 8)
        if file.size < size + 8 < 0xFFFFFFFF and size < 0x7FFFFFFF
        else None
    )


_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def _asf(file: FileBytes) -> Flaw | None:
    """ASF: packets of equal size after the header; an index may follow."""
    at = int.from_bytes(file.read(16, 8), "little")
    head = file.read(at, 24)
    size = int.from_bytes(head[16:], "little")
    # A live stream that was saved does not know its size.
    if head[:16] != _ASF_DATA or at + size <= file.size or size >= 1 << 56:
        return None
    flaw = truncation_flaw(file.size, at + size)
    # Zeros fill the last packet up to the one size of all.
    return replace(flaw, spared=_is_padding(file, at + _ASF_PACKETS_AT, at + size))


_ASF_PACKETS_AT = 50
"""Bytes of the data object before its packets (ASF specification 1.20, clause 5.1)."""


def _is_padding(file: FileBytes, start: int, end: int) -> bool:
    """Whether an ASF file that should end at `end` lacks only padding of its last packet (clause 5.2)."""
    length = _asf_packet_size(file)
    last = end - length
    if not length or (end - start) % length or file.size <= last:
        return False
    data = file.read(last, 64)
    at = 1 + (data[0] & 0x0F) if data[0] & 0x80 else 0
    if len(data) < 20 or at + 14 > len(data):
        return False
    sizes = [(0, 1, 2, 4)[data[at] >> bit & 3] for bit in (5, 1, 3)]  # packet length, sequence, padding
    at += 2 + sizes[0] + sizes[1]
    padding = int.from_bytes(data[at : at + sizes[2]], "little")
    return end - file.size <= padding


_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf_packet_size(file: FileBytes) -> int:
    """The size of every packet, from the file properties (clause 3.2); 0 if they don't determine it."""
    header = file.read(0, 1 << 16)
    at = header.find(_ASF_FILE)
    least, most = (int.from_bytes(header[at + n : at + n + 4], "little") for n in (92, 96))
    return least if at >= 0 and least == most else 0


_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")


def _mxf(file: FileBytes) -> Flaw | None:
    """MXF: the header gives the position of the footer, after all frames, if the file was closed."""
    head = file.read(0, 64)
    if head[:13] != _MXF_PARTITION:
        return None
    start = 17 + (head[16] & 0x7F if head[16] & 0x80 else 0)
    footer = int.from_bytes(head[start + 24 : start + 32], "big")
    return replace(truncation_flaw(file.size, footer), at_the_end=False) if footer >= file.size else None


def _ogg(file: FileBytes) -> Flaw | None:
    at = 0
    while at < file.size:
        head = file.read(at, 27 + 255)
        if head[:4] != b"OggS":
            return unknown_data_flaw(at)
        end = at + 27 + head[26] + sum(head[27 : 27 + head[26]]) if len(head) > 26 else at + 27
        if end > file.size:
            return replace(truncation_flaw(file.size, end), at_the_end=False)
        at = end
    return None


def _gif(file: FileBytes) -> Flaw | None:
    head = file.read(0, 13)
    at = 13 + (3 << (head[10] & 7) + 1 if len(head) > 10 and head[10] & 0x80 else 0)
    while at < file.size:
        kind, *rest = file.read(at, 11)
        if kind == 0x3B:
            return None
        if kind == 0x2C and len(rest) > 8:
            at += 11 + (3 << (rest[8] & 7) + 1 if rest[8] & 0x80 else 0)
        elif kind == 0x21:
            at += 2
        elif kind == 0x2C:
            return replace(truncation_flaw(file.size, at + 11), at_the_end=False)
        else:
            return unknown_data_flaw(at)
        while (length := file.read(at, 1)) != b"\0":
            if not length:
                return replace(truncation_flaw(file.size, at + 1), at_the_end=False)
            at += 1 + length[0]
        at += 1
    return None


def _y4m(file: FileBytes) -> Flaw | None:
    """Y4M: frames of equal size, each after a header line."""
    line, _, rest = file.read(0, 4096).partition(b"\n")
    said = {field[:1]: field[1:] for field in line.split()[1:]}
    width, height, color = (said.get(key, b"") for key in (b"W", b"H", b"C"))
    if not (width.isdigit() and height.isdigit() and rest.startswith(b"FRAME\n")):
        return None
    luma = int(width) * int(height)
    across, down = {b"422": (2, 1), b"444": (1, 1), b"411": (4, 1)}.get(color[:3], (2, 2))
    chroma = 0 if color.startswith(b"mono") else 2 * -(-int(width) // across) * -(-int(height) // down)
    samples = luma * (2 if color == b"444alpha" else 1) + chroma
    stride = samples * (2 if color[4:].isdigit() and color != b"mono8" else 1) + 6
    part = (file.size - len(line) - 1) % stride
    return replace(truncation_flaw(file.size, file.size - part + stride), at_the_end=False) if part else None


def _ivf(file: FileBytes) -> Flaw | None:
    """IVF: frames, each after twelve bytes that begin with its length."""
    at = int.from_bytes(file.read(6, 2), "little")
    while at < file.size:
        at += 12 + int.from_bytes(file.read(at, 4), "little")
    return replace(truncation_flaw(file.size, at), at_the_end=False) if at > file.size else None


def _obu(file: FileBytes) -> Flaw | None:
    """OBUs with lengths (AV1 specification 5.3.1), or temporal units with lengths (annex B)."""
    is_low_overhead = file.read(0, 2) == b"\x12\0"  # a temporal delimiter
    at = 0
    while at < file.size:
        head = file.read(at, 10)
        skip = 0
        if is_low_overhead:
            if not head[0] & 2:
                return None
            skip = 2 if head[0] & 4 else 1
        count, length = _leb128(head[skip:])
        at += skip + count + length
    return replace(truncation_flaw(file.size, at), at_the_end=False) if at > file.size else None


def _leb128(data: bytes) -> tuple[int, int]:
    """(bytes read, value); for a truncated number, one byte more than there are."""
    value = 0
    for place, byte in enumerate(data[:8]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return place + 1, value
    return len(data) + 1, value


_WALKS = {
    "matroska": matroska_flaw, "mov": _mp4, "mpegts": _mpegts, "flv": _flv, "avi": _avi, "asf": _asf,
    "mxf": _mxf, "ogg": _ogg, "gif": _gif,
    "yuv4mpegpipe": _y4m, "ivf": _ivf, "obu": _obu,
}  # fmt: skip
"""By the name of FFmpeg's demuxer."""
