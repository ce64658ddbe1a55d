"""How each codec and container describes the image.

Sample aspect ratio, range, primaries.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.containers import matroska_shape
from pipelines.containers.matroska_shape import reserve, write_reserved
from pipelines.file_parsing.container_check import flaw_of
from pipelines.file_parsing.matroska import elements
from tests import media

CPU = ("--model", "lanczos", "--device", "cpu")


def first(path: Path) -> tuple[Fraction, int, int, np.ndarray]:
    """(sample aspect ratio, range, primaries, luma) of the first frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        shape = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
        luma = np.frombuffer(frame.planes[0], np.uint16 if "10" in frame.format.name else np.uint8)
        return Fraction(shape), int(frame.color_range), int(frame.color_primaries), luma


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("av1", ".mp4"),
        ("prores", ".mov"),
        ("hevc", ".mp4"),
        ("hevc", ".mov"),
        ("h264", ".mkv"),
        ("hevc", ".mkv"),
    ],
)
def test_every_codec_keeps_the_shape_of_a_sample(here, tmp_path: Path, codec: str, suffix: str) -> None:
    """Case 27."""
    source = media.cfr(tmp_path / "in.mp4", frames=3, sar=Fraction(16, 15))
    result = tmp_path / f"out{suffix}"
    outcome = here("run", source, "-o", result, "--scale", "2", "--codec", codec, "--preset", "draft", *CPU)
    assert outcome.code == 0, outcome.err
    assert first(result)[0] == Fraction(16, 15)


@pytest.mark.parametrize(
    ("codec", "name", "sar"),
    [
        ("av1", "out.webm", Fraction(16, 15)),
        ("prores", "out.mkv", Fraction(16, 11)),
        ("ffv1", "out.mkv", Fraction(12, 11)),
    ],
)
def test_matroska_tells_the_shape_of_a_sample_where_the_bitstream_does_not(
    here, tmp_path: Path, codec: str, name: str, sar: Fraction
) -> None:
    """Case 27: in the container, and nothing of the room that was made for it is left."""
    source = media.write(
        tmp_path / "in.mkv", media.Film(frames=3, rate=Fraction(25), sar=sar), metadata={"title": "Reel 3"}
    )
    outcome = here(
        "run", source, "-o", tmp_path / name, "--scale", "2", "--codec", codec, "--preset", "draft", *CPU
    )
    assert outcome.code == 0, outcome.err
    with av.open(str(tmp_path / name)) as made:
        assert made.streams.video[0].sample_aspect_ratio == sar
        assert made.metadata["title"] == "Reel 3"
        assert "title" not in made.streams.video[0].metadata
        assert sum(1 for _ in made.decode(video=0)) == 3
    assert flaw_of(tmp_path / name, "matroska,webm") is None


def test_the_shape_of_a_matroska_track_takes_no_other_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 27: title, length and checksum of the tracks are those of a file that was written with it."""
    monkeypatch.setattr(matroska_shape, "_HEAD_BYTES", 400)  # tracks may be longer than what is looked at
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt="gray")
        stream.metadata["title"] = "Reel 3"
        reserve(stream)
        output.mux(stream.encode(media.picture(0, 64, 48, "gray")))
        output.mux(stream.encode(None))
    before = path.read_bytes()
    write_reserved(path, 64, 48, Fraction(12, 11))
    after = path.read_bytes()
    with av.open(str(path)) as made:
        assert made.streams.video[0].sample_aspect_ratio == Fraction(12, 11)
        assert made.streams.video[0].metadata["title"] == "Reel 3"
    (tracks,) = elements(after, 0x18538067, 0x1654AE6B)
    (checksum,) = elements(tracks, 0xBF)
    assert int.from_bytes(checksum, "little") == zlib.crc32(tracks[6:])
    assert len(after) == len(before)
    assert after[: after.index(tracks)] == before[: after.index(tracks)]
    assert after[after.index(tracks) + len(tracks) :] == before[after.index(tracks) + len(tracks) :]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray"])
def test_full_range_becomes_limited_for_prores_and_that_is_said(here, tmp_path: Path, pix_fmt: str) -> None:
    """The pictures stay what they are: white comes out as white."""
    source = media.cfr(tmp_path / "in.mkv", frames=2, codec="ffv1", pix_fmt=pix_fmt, tags=(1, 2, 1, 1))
    outcome = here("run", source, "-o", tmp_path / "out.mov", "--scale", "2", "--codec", "prores", *CPU)
    assert outcome.code == 0, outcome.err
    assert "full range becomes limited range" in outcome.err
    _, range_, _, made = first(tmp_path / "out.mov")
    wanted = 64 + 876 * media.planes_of(0, 64, 48, pix_fmt)[0].astype(float) / (
        1023 if "10" in pix_fmt else 255
    )
    assert range_ in {0, 1}
    assert abs(made.astype(float).mean() - wanted.mean()) < 4


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_primaries_that_an_encoder_can_not_write_are_refused_with_a_remedy_that_works(
    here, tmp_path: Path, codec: str
) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=2, codec="ffv1", tags=(1, 1, 22, 1))
    given = ("run", source, "-o", tmp_path / "out.mp4", "--to", "128x96", *CPU, "--preset", "draft")
    here(*given, "--codec", codec).refused(2, "3213", "--codec av1")
    assert here(*given, "--codec", "av1").code == 0
    assert first(tmp_path / "out.mp4")[2] == 22


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("av1", ".mov"),
        ("hevc", ".webm"),
        ("prores", ".webm"),
        ("prores", ".mp4"),
        ("ffv1", ".mp4"),
        ("ffv1", ".mov"),
    ],
)
def test_a_codec_that_a_container_can_not_hold_is_refused_before_work(
    here, tmp_path: Path, codec: str, suffix: str
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=3)
    for command in ("plan", "run"):
        here(
            command, source, "-o", tmp_path / f"out{suffix}", "--scale", "2", "--codec", codec, *CPU
        ).refused(2, "does not go into", "ends in .")
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]
