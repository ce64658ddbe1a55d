"""Photos stored as tiles are assembled as by the ffmpeg program, or refused."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from av.stream import Disposition

from models.errors import MediaError
from pipelines.file_parsing.heif_items import tiled_photo
from pipelines.media.cicp import Range
from pipelines.media.demuxer import MAX_PIXELS, open_source
from pipelines.media.pixel_format import Orientation
from pipelines.probe.probe import probe
from tests.helpers import spliced
from tests.helpers.command import vsr
from tests.helpers.view import decoded, planes

FULL_601 = (6, 2, 1, 13)
"""Matrix, range, primaries, transfer: as telephones tag their photos."""


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def whole(source: Path) -> av.VideoFrame:
    """The frame that vsr sees."""
    with open_source(source) as container:
        (frame,) = container.decode(video=0)
        return frame


def by_hand(source: Path, columns: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Planes of the tiles that FFmpeg's demuxer gives, laid side by side."""
    frames: list[av.VideoFrame] = []
    with av.open(str(source)) as container:
        count = sum(bool(s.disposition & Disposition.dependent) for s in container.streams.video)
    for number in range(count):
        with av.open(str(source)) as container:
            frames += container.decode(video=number)
    tiles, is_fine = [planes(frame) for frame in frames], "444" in frames[0].format.name
    width, height = size
    found = []
    for number in range(len(tiles[0])):
        rows = [np.hstack([t[number] for t in tiles[n : n + columns]]) for n in range(0, len(tiles), columns)]
        halved = number in {1, 2} and not is_fine
        found.append(np.vstack(rows)[: -(-height >> halved), : -(-width >> halved)])
    return found


def by_ffmpeg(source: Path, pix_fmt: str) -> np.ndarray:
    """Samples of the whole as FFmpeg's program decodes it, in one row. Skips where it does not know how."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    found = re.search(
        r"version n?(\d+)",
        subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout,
    )
    if not found or int(found[1]) < 8:
        pytest.skip("FFmpeg's program puts tiles together from version 8 on")
    command = [program, "-v", "error", "-i", str(source), "-f", "rawvideo", "-pix_fmt", pix_fmt, "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint16 if "10" in pix_fmt else np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "given"),
    [
        ("in.heic", "libx265", "yuv420p", {}),
        ("in.heic", "libx265", "yuv420p", {"size": (189, 101), "columns": 3, "tags": FULL_601}),
        ("in.heic", "libx265", "yuv420p", {"size": (128, 90), "tags": FULL_601}),
        ("in.heic", "libx265", "yuv420p10le", {"size": (128, 130), "rows": 3, "is_in_idat": True}),
        ("in.heif", "libx265", "yuv444p", {"tags": (9, 1, 9, 16)}),
        ("in.avif", "libsvtav1", "yuv420p", {"columns": 1, "rows": 5}),
        ("in.avif", "libsvtav1", "yuv420p10le", {"columns": 4, "rows": 1, "size": (200, 63), "thumbnail": True}),
    ],
)  # fmt: skip
def test_a_photo_of_tiles_is_the_one_that_ffmpeg_puts_together(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, given: dict
) -> None:
    """Case 24."""
    source = spliced.tiled_photo(tmp_path / name, codec, pix_fmt=pix_fmt, **given)
    columns, rows = given.get("columns", 2), given.get("rows", 2)
    size = given.get("size", (64 * columns, 64 * rows))
    frame = whole(source)
    assert (frame.width, frame.height, frame.format.name) == (*size, pix_fmt)
    made = planes(frame)
    for plane, right in zip(made, by_hand(source, columns, size), strict=True):
        assert np.array_equal(plane, right)
    matrix, color_range, primaries, transfer = given.get("tags", (1, 1, 1, 1))
    info = probe(source)
    assert (info.color.matrix, info.color.range) == (matrix, color_range)
    assert (info.color.primaries, info.color.transfer) == (primaries, transfer)
    assert f"its {columns * rows} tiles are put together" in info.notes
    assert any("further pictures (1:" in note for note in info.notes) == ("thumbnail" in given)
    if size[0] % 2 or size[1] % 2:
        return  # of which FFmpeg's program cuts off a row or column
    shown = by_ffmpeg(source, "yuvj420p" if color_range == Range.FULL else pix_fmt)
    assert np.array_equal(shown, np.concatenate([plane.ravel() for plane in made]))


def test_tags_of_the_file_hold_where_tiles_have_none(tmp_path: Path) -> None:
    """Case 24."""
    nclx = box(b"colr", b"nclx" + struct.pack(">HHHB", 9, 16, 9, 0x80))
    source = spliced.tiled_photo(tmp_path / "in.avif", "libsvtav1", tags=(2, 0, 2, 2), properties=[nclx])
    color = probe(source).color
    assert (color.primaries, color.transfer, color.matrix) == (9, 16, 9)
    icc = box(b"colr", b"prof" + bytes(16))
    source = spliced.tiled_photo(tmp_path / "icc.heic", properties=[icc])
    assert any("ICC profile" in note for note in probe(source).notes)


TURNS = [(angle, mirror) for angle in (0, 1, 2, 3) for mirror in (None, 0, 1) if angle or mirror is not None]


@pytest.mark.parametrize(("angle", "mirror"), TURNS)
def test_a_photo_is_turned_as_its_file_says(tmp_path: Path, angle: int, mirror: int | None) -> None:
    """Case 24."""
    turns = [box(b"irot", bytes([angle]))] if angle else []
    turns += [box(b"imir", bytes([mirror]))] if mirror is not None else []
    source = spliced.tiled_photo(tmp_path / "in.heic", columns=3, pix_fmt="yuv444p", properties=turns)
    stored = planes(whole(source))
    turn = probe(source).orientation
    for plane, shown in zip(stored, np.split(by_ffmpeg(source, "yuv444p"), 3), strict=True):
        made = plane.T if turn.transpose else plane
        made = made[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
        assert np.array_equal(made, shown.reshape(made.shape))


def test_a_photo_is_cropped_as_its_file_says(tmp_path: Path) -> None:
    """Case 24."""
    clap = box(b"clap", struct.pack(">IIIIiIiI", 100, 1, 120, 1, 2, 1, -4, 1))
    source = spliced.tiled_photo(tmp_path / "in.heic", properties=[clap, box(b"irot", b"\1")])
    info = probe(source)
    assert (info.crop.left, info.crop.right, info.crop.top, info.crop.bottom) == (16, 12, 0, 8)
    assert info.orientation == Orientation(transpose=True, flip_y=True)
    done = vsr("run", source, "--scale", "1", "--model", "identity", "-o", tmp_path / "out.tiff")
    assert done.code == 0, done.err
    (made,) = decoded(tmp_path / "out.tiff")
    assert (made.width, made.height) == (120, 100)


@pytest.mark.parametrize(("name", "codec"), [("in.heic", "libx265"), ("in.avif", "libsvtav1")])
def test_a_photo_of_tiles_is_upscaled_as_a_whole(tmp_path: Path, name: str, codec: str) -> None:
    """Case 24."""
    source = spliced.tiled_photo(tmp_path / name, codec, size=(122, 90), thumbnail=True)
    done = vsr("run", source, "--scale", "2", "--model", "lanczos", "-o", tmp_path / "out.png")
    assert done.code == 0, done.err
    (made,) = decoded(tmp_path / "out.png")
    assert (made.width, made.height) == (244, 180)
    again = vsr("run", source, "--scale", "2", "--model", "lanczos", "-o", tmp_path / "out.png")
    assert "already done" in again.out + again.err


def changed(source: Path, old: bytes, new: bytes) -> Path:
    data = source.read_bytes()
    assert data.count(old) >= 1
    source.write_bytes(data.replace(old, new))
    return source


def test_what_is_no_whole_photo_is_refused_and_never_one_tile_taken(tmp_path: Path) -> None:
    """Case 24."""
    for thumbnail in (False, True):
        source = spliced.tiled_photo(tmp_path / "overlay.heic", thumbnail=thumbnail)
        with pytest.raises(MediaError, match="a photo of 4 tiles of 64x64"):
            probe(changed(source, b"grid", b"iovl"))
    source = spliced.tiled_photo(tmp_path / "missing.heic")
    data = bytearray(source.read_bytes())
    at = data.index(b"dimg") + 4 + 3 * 2
    data[at : at + 2] = struct.pack(">H", 77)
    source.write_bytes(data)
    with pytest.raises(MediaError, match="1 of its 4 tiles are missing"):
        probe(source)
    source = spliced.tiled_photo(tmp_path / "damaged.heic", is_in_idat=True)
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        last = next(packet.size for packet in container.demux(video=3) if packet.size)
    data[-last:] = bytes(last)
    source.write_bytes(data)
    with pytest.raises(MediaError, match="tile 4 of 4 is damaged"):
        probe(source)
    source = spliced.tiled_photo(tmp_path / "large.heic")
    wide = struct.pack(">BBBBHH", 0, 0, 1, 1, 128, 128)
    with pytest.raises(MediaError, match="smaller than the photo"):
        probe(changed(source, wide, struct.pack(">BBBBHH", 0, 0, 1, 1, 129, 128)))


def test_a_photo_that_would_fill_memory_is_refused_before_it_is_made(tmp_path: Path) -> None:
    source = spliced.tiled_photo(tmp_path / "in.heic")
    small, huge = (
        struct.pack(">BBBBHH", 0, 0, 1, 1, 128, 128),
        struct.pack(">BBBBHH", 0, 0, 1, 1, 65535, 65535),
    )
    assert MAX_PIXELS < 65535 * 65535
    with pytest.raises(MediaError, match="65535x65535 pixels"):
        probe(changed(source, small, huge))


def test_broken_boxes_are_no_photo(tmp_path: Path) -> None:
    source = spliced.tiled_photo(tmp_path / "in.heic")
    data = source.read_bytes()
    rng = np.random.default_rng(17)
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(0, data.index(b"mdat"), 3):
            broken[place] = int(rng.integers(256))
        (tmp_path / "broken.heic").write_bytes(broken[: int(rng.integers(8, len(broken)))])
        found = tiled_photo(tmp_path / "broken.heic")
        assert found is None or len(found.tiles) == found.columns * found.rows
