"""Numbered images as input and output."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import MediaError, UsageError, VerificationError
from pipelines.media import image_sequence
from pipelines.media.image_sequence import pack, pattern_of, unpack
from pipelines.output import journal, muxer
from pipelines.output.chunk_record import ResultParts
from pipelines.plan.events import AlreadyDone
from pipelines.probe.probe import probe
from pipelines.run import publishing
from pipelines.settings.option_values import parse_frame_rate
from tests import media
from tests.helpers.inline import H264, finished_of, planned_of, upscaled
from tests.helpers.view import decoded, frames

pytestmark = pytest.mark.usefixtures("inline")

KINDS = [
    ("png", "png", "rgb24"), ("png", "png", "rgba"), ("png", "png", "rgb48be"), ("png", "png", "rgba64be"), ("png", "png", "gray"), ("png", "png", "gray16be"),
    ("tiff", "tiff", "rgb24"), ("tiff", "tiff", "rgb48le"), ("tif", "tiff", "rgba64le"), ("dpx", "dpx", "rgb24"), ("dpx", "dpx", "gbrp10le"), ("dpx", "dpx", "gbrp12le"),
    ("dpx", "dpx", "rgb48le"),
]  # fmt: skip


def pictures(
    pattern: Path,
    codec: str = "png",
    pix_fmt: str = "rgb24",
    count: int = 6,
    first: int = 1,
    size: tuple[int, int] = (48, 32),
) -> Path:
    """Numbered pictures, all different, in every bit they have."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    bits = av.VideoFormat(pix_fmt, *size).components[0].bits
    for number in range(count):
        context = av.CodecContext.create(codec, "w")
        context.width, context.height, context.pix_fmt, context.time_base = *size, pix_fmt, Fraction(1, 25)
        frame = av.VideoFrame(*size, pix_fmt)
        for place, plane in enumerate(frame.planes):
            dtype = np.dtype(">u2" if pix_fmt.endswith("be") else "<u2") if bits > 8 else np.dtype(np.uint8)
            samples = plane.line_size // dtype.itemsize
            y, x = np.mgrid[0 : plane.height, 0:samples]
            codes = (x * 37 + y * 11 * (place + 1) + number * ((1 << bits) // 7)) % (1 << bits)
            plane.update(np.ascontiguousarray(codes.astype(dtype)).tobytes())
        frame.pts = 0
        data = b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])
        (pattern.parent / (pattern.name % (first + number))).write_bytes(data)
    return pattern


def shown(pattern: Path, numbers: range) -> list[np.ndarray]:
    return [np.array(decoded(pattern.parent / (pattern.name % n))[0].to_ndarray()) for n in numbers]


@pytest.mark.parametrize(("ending", "codec", "pix_fmt"), KINDS)
def test_pictures_come_out_as_they_went_in_bit_for_bit(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str
) -> None:
    source = pictures(tmp_path / "in" / f"frame_%05d.{ending}", codec, pix_fmt, first=98)
    for name, seconds in (("many", 0.05), ("one", 1e6)):
        target = tmp_path / f"{name}_%05d.{ending}"
        events = upscaled(source, target, chunk_seconds=seconds, codec="hevc")
        assert (len(planned_of(events).plan.chunks) > 2) == (name == "many")
        assert sorted(p.name for p in tmp_path.glob(f"{name}_*.{ending}")) == [
            f"{name}_{n:05d}.{ending}" for n in range(98, 104)
        ]
        for before, after in zip(shown(source, range(98, 104)), shown(target, range(98, 104)), strict=True):
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)


def test_pictures_are_upscaled_and_the_report_counts_them(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in" / "frame_%05d.png")
    events = (
        upscaled(source, tmp_path / "out", scale=2, model="lanczos")
        if (tmp_path / "out").mkdir() is None
        else []
    )
    assert len(list((tmp_path / "out").glob("frame_*.64p.png"))) == 6
    assert decoded(tmp_path / "out" / "frame_00003.64p.png")[0].width == 96
    report = json.loads((tmp_path / "out" / "frame_%05d.64p.png.vsr.json").read_bytes())
    assert report["frames"] == 6
    assert (
        report["bytes"]
        == sum(p.stat().st_size for p in (tmp_path / "out").glob("*.png"))
        == finished_of(events).bytes
    )
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_a_film_of_pictures_has_the_rate_it_is_given(tmp_path: Path) -> None:
    source = pictures(tmp_path / "frame_%03d.png", size=(64, 48))
    events = upscaled(source, tmp_path / "out.mp4", rate="23.976", **H264)
    assert [f.seconds for f in frames(tmp_path / "out.mp4")] == [n * Fraction(1001, 24000) for n in range(6)]
    assert not any("frames a second" in n for n in planned_of(events).info.notes)
    assert any("assuming 24 frames a second, set it with --rate" in n for n in probe(source).notes)
    with pytest.raises(UsageError, match="--rate is for numbered pictures"):
        upscaled(tmp_path / "out.mp4", tmp_path / "again.mp4", rate="25", **H264)


def test_strongly_coloured_pictures_become_a_film(tmp_path: Path) -> None:
    """Their luma is compared with the film's, not their green."""
    for number in range(4):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, :, 2], picture[:, 10 + 9 * number : 20 + 9 * number, 0] = 255, 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        context = av.CodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt, context.time_base = 64, 48, "rgb24", Fraction(1, 25)
        (tmp_path / f"f_{number}.png").write_bytes(
            b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])
        )
    upscaled(tmp_path / "f_%d.png", tmp_path / "out.mp4", **H264)
    assert len(frames(tmp_path / "out.mp4")) == 4


def test_a_part_keeps_the_numbers(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in" / "frame_%04d.png", first=10)
    upscaled(source, tmp_path / "frame_%04d.png", rate="10", range="0.2-0.5")
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [
        "frame_0012.png",
        "frame_0013.png",
        "frame_0014.png",
    ]


def test_a_film_becomes_pictures_and_what_they_cannot_hold_is_said(tmp_path: Path) -> None:
    source = media.write(tmp_path / "in.mp4", media.Film(frames=8), audio=(media.Audio(seconds=0.3),))
    target = tmp_path / "frame_%d.png"
    events = upscaled(source, target)
    assert planned_of(events).dropped == ("audio stream 1 (aac): pictures hold nothing else",)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == sorted(f"frame_{n}.png" for n in range(1, 9))
    assert any("no times" in n for n in planned_of(events).info.notes)
    with pytest.raises(UsageError, match=r"one \.png picture; name numbered ones, such as frame_%05d\.png"):
        upscaled(source, tmp_path / "all.png")


def test_a_missing_or_empty_picture_is_named(tmp_path: Path) -> None:
    source = pictures(tmp_path / "frame_%05d.png")
    (tmp_path / "frame_00004.png").rename(tmp_path / "aside")
    with pytest.raises(MediaError, match=r"frame_00004\.png is missing"):
        upscaled(source, tmp_path / "out.mkv")
    with pytest.raises(MediaError, match=r"frame_00004\.png is missing"):
        probe(source)
    (tmp_path / "frame_00004.png").write_bytes(b"")
    with pytest.raises(MediaError, match=r"frame_00004\.png: is empty"):
        upscaled(source, tmp_path / "out.mkv")
    with pytest.raises(MediaError, match="no picture of that name"):
        probe(tmp_path / "other_%05d.png")


@pytest.mark.parametrize("rate", ["25", "24000/1001"])
def test_the_images_on_both_sides_of_a_missing_one_can_be_taken_as_its_message_says(
    tmp_path: Path, rate: str
) -> None:
    source = pictures(tmp_path / "frame_%05d.png", count=12)
    (tmp_path / "frame_00007.png").unlink()
    asked = {"rate": rate, **H264}
    for part in (None, "0-0.3", "0-"):
        with pytest.raises(MediaError, match=r"frame_00007\.png is missing") as refused:
            upscaled(source, tmp_path / "all.mkv", range=part, **asked)
    said = re.search(
        r"--range (\S+) takes the 6 before it, and those from frame_00008.png on", str(refused.value)
    )
    assert said
    upscaled(source, tmp_path / "before.mkv", range=said[1], **asked)
    assert len(frames(tmp_path / "before.mkv")) == 6
    upscaled(source, tmp_path / "few.mkv", range="0-0.2", **asked)
    assert len(frames(tmp_path / "few.mkv")) == 5
    (tmp_path / "after").mkdir()
    for number in range(8, 13):
        (tmp_path / f"frame_{number:05d}.png").rename(tmp_path / "after" / f"frame_{number:05d}.png")
    upscaled(tmp_path / "after" / source.name, tmp_path / "after.mkv", **asked)
    assert len(frames(tmp_path / "after.mkv")) == 5


def test_pictures_that_are_there_are_kept_until_they_are_replaced_whole(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in" / "frame_%02d.png", count=4)
    target = tmp_path / "out_%02d.png"
    pictures(target, count=6, pix_fmt="gray")
    before = (tmp_path / "out_01.png").read_bytes()
    with pytest.raises(UsageError, match="already exists"):
        upscaled(source, target)
    assert (tmp_path / "out_01.png").read_bytes() == before
    upscaled(source, target, overwrite=True)
    assert (tmp_path / "out_01.png").read_bytes() != before
    assert isinstance(upscaled(source, target)[-1], AlreadyDone)
    with pytest.raises(UsageError, match="input's own pictures"):
        upscaled(source, source, overwrite=True)


def test_a_run_that_ended_while_pictures_got_their_names_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures(tmp_path / "in" / "frame_%02d.png", count=4)
    target = tmp_path / "out_%02d.png"
    honest, moved = image_sequence.os.replace, []

    def dying(a: str, b: str) -> None:
        if str(b).endswith("out_03.png") and not moved:
            moved.append(b)
            raise KeyboardInterrupt
        honest(a, b)

    monkeypatch.setattr(image_sequence.os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        upscaled(source, target)
    assert sorted(p.name for p in tmp_path.glob("out_*.png")) == ["out_01.png", "out_02.png"]
    upscaled(source, target)
    assert len(list(tmp_path.glob("out_*.png"))) == 4
    assert journal.work_folder(target).exists() is False


def test_a_picture_that_shows_something_else_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures(tmp_path / "in" / "frame_%02d.png", count=4)
    original = muxer.assemble

    def swapping(parts: ResultParts, target: Path, **more: object) -> object:
        passed = original(parts, target, **more)  # type: ignore[arg-type]
        (target / "2").write_bytes((target / "4").read_bytes())
        return passed

    monkeypatch.setattr(publishing, "assemble", swapping)
    with pytest.raises(VerificationError, match="picture 2 shows something else"):
        upscaled(source, tmp_path / "out_%02d.png")
    assert not list(tmp_path.glob("out_*"))


def test_names_with_other_per_cent_signs_are_found(tmp_path: Path) -> None:
    source = pictures(tmp_path / "100%_%d" / "a_%04d.png", count=2)
    assert probe(source).frame_count == 2
    assert pattern_of(tmp_path / "plain.png") is None
    assert pattern_of(tmp_path / "film_%03d.mp4") is None
    odd = tmp_path / "still_%03d.png"
    odd.write_bytes((source.parent / "a_0001.png").read_bytes())
    assert pattern_of(odd) is None
    assert probe(odd).is_picture, "a file of that very name is a file"
    mixed = pattern_of("x/50%_%02d.png")
    assert mixed is not None
    assert mixed.path(7).name == "50%_07.png"
    assert "50%%_%02d.png" in mixed.ffmpeg_url()


def test_packed_pictures_come_apart_again() -> None:
    parts = [b"", b"a", b"bc" * 500]
    assert list(unpack(pack(parts))) == parts
    with pytest.raises(VerificationError, match="cut short"):
        list(unpack(pack(parts)[:-1]))


def test_rates_are_read_as_the_field_writes_them() -> None:
    assert parse_frame_rate("24") == 24
    assert parse_frame_rate("23.976") == parse_frame_rate("23.98") == Fraction(24000, 1001)
    assert parse_frame_rate("29.97") == Fraction(30000, 1001)
    assert parse_frame_rate("12.5") == Fraction(25, 2)
    assert parse_frame_rate("30000/1001") == Fraction(30000, 1001)
    for wrong in ("0", "-1", "fast", "1/0", "5000"):
        with pytest.raises(UsageError, match="--rate"):
            parse_frame_rate(wrong)
