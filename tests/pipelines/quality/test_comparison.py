"""A comparison reports which result is better, and first of all whether two files belong together."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import UsageError, VerificationError
from pipelines.media.pixel_format import PixelCrop
from pipelines.plan.output_names import report_path
from pipelines.probe.probe import probe
from pipelines.quality.comparison import Compared, Measured, compare
from pipelines.quality.frame_alignment import Misaligned
from pipelines.quality.paired_reader import open_video, upright_size
from tests import media
from tests.helpers.inline import upscaled, without_processes
from tests.pipelines.probe.test_black_bars import boxed

RATE, SIZE = Fraction(25), (96, 64)


def film(path: Path, frames: int = 14, **more: object) -> Path:
    return media.cfr(path, **{"frames": frames, "rate": RATE, "size": SIZE, **more})


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "truth.mkv")


def compared(first: Path, second: Path, **more: object) -> Compared:
    events = list(compare(first, second, **more))  # type: ignore[arg-type]
    found = events[-1]
    assert isinstance(found, Compared)
    assert tuple(e for e in events if isinstance(e, Misaligned)) == found.findings
    assert [e.frames for e in events if isinstance(e, Measured)] == list(range(1, len(found.seconds) + 1))
    return found


def test_a_clip_equals_itself(truth: Path) -> None:
    found = compared(truth, truth)
    (figures,) = found.figures
    assert figures.overall["vmaf"] >= 97
    assert figures.overall["vmaf_neg"] >= 97
    assert all(math.isinf(figures.overall[n]) for n in ("psnr", "psnr_chroma", "xpsnr"))
    assert figures.overall["ssim"] == 1
    assert figures.overall["flicker"] == 0
    assert not found.findings
    assert not found.moments
    assert "every frame equals" in found.notes[0]


@pytest.mark.parametrize(
    ("degrees", "target"),
    [
        (0, {"scale": 3}),
        (0, {"scale": 3, "pixel_format": "yuv420p"}),  # with a column and a row more
        *((n, {"scale": 2}) for n in (0, 90, 180, 270)),
        *((n, {"scale": None, "to": "400x400"}) for n in (0, 90, 180, 270)),
    ],
)
def test_a_source_with_odd_sides_is_compared_with_the_same_part_of_its_upscale(
    tmp_path: Path, degrees: int, target: dict[str, object]
) -> None:
    """Otherwise the result would be stretched by a column and a row against its source."""
    scores = []
    for size in ((97, 63), (96, 62)):
        source, result = tmp_path / f"{size[0]}.mp4", tmp_path / f"{size[0]}.mkv"
        more = {"frames": 2, "size": size, "pix_fmt": "yuv444p", "options": {"qp": "0"}}
        if degrees:
            media.rotated(source, degrees, **more)
        else:
            media.write(source, media.Film(rate=RATE, **more))  # type: ignore[arg-type]
        upscaled(source, result, model="lanczos", **target)
        scores.append(compared(source, result).figures[0].overall["consistency"])
    odd, even = scores
    assert odd > even - 1


def test_a_copy_one_frame_late_is_called_misaligned(truth: Path, tmp_path: Path) -> None:
    early = film(tmp_path / "early.mkv", first_number=1)
    (finding,) = compared(truth, early).findings
    assert (finding.kind, finding.frames) == ("shift", -1)
    assert (
        finding.text == "early.mkv: misaligned: shows everything 1 frame earlier than truth.mkv, all the way"
    )
    (finding,) = compared(early, truth).findings
    assert finding.frames == 1


def test_a_copy_whose_times_are_one_frame_later_is_called_misaligned(truth: Path, tmp_path: Path) -> None:
    later = film(tmp_path / "later.mkv", pts=tuple(range(1, 15)))
    times, shift = compared(truth, later).findings
    assert (times.kind, times.frames) == ("times", 1)
    assert "it begins 0.040 s later (--align start" in times.text
    assert (shift.kind, shift.frames) == ("shift", 1)
    assert not compared(truth, later, align="start").findings


def test_other_counts_are_the_finding_and_the_others_are_measured(truth: Path, tmp_path: Path) -> None:
    short = film(tmp_path / "short.mkv", 13)
    found = compared(truth, short)
    (finding,) = found.findings
    assert (finding.kind, finding.frames) == ("count", -1)
    assert (
        finding.text
        == "short.mkv: has 1 frame fewer than truth.mkv: 1 of truth.mkv has no partner, the first at 0:00:00.520"
    )
    assert len(found.seconds) == 13
    assert found.figures[0].overall["psnr"] > 50
    assert not compared(truth, short, range_="0-0.4").findings


def test_what_was_made_of_a_part_is_held_against_that_part(truth: Path, tmp_path: Path) -> None:
    part = film(tmp_path / "part.mkv", 5, first_number=6)
    found = compared(truth, part, range_="0.24-0.44", align="part")
    assert not found.findings
    assert len(found.seconds) == 5
    assert found.figures[0].overall["psnr"] > 40
    count, *_ = compared(truth, part).findings
    assert count.kind == "count"
    assert count.text.endswith(
        "(of a part made with --range, compare with the same --range and --align part)"
    )
    count, *_ = compared(truth, part, range_="0.24-0.48", align="part").findings
    assert (count.kind, count.frames) == ("count", -1)
    count, *_ = compared(truth, part, range_="0.24-0.36", align="part").findings
    assert count.text.startswith("part.mkv: has 2 frames more than truth.mkv: 2 of part.mkv have no partner")


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_part_is_compared_with_what_it_was_made_of_by_its_report(
    truth: Path, tmp_path: Path, suffix: str
) -> None:
    made = {"scale": 2, "model": "lanczos", "codec": "h264", "crf": 18.0}
    part, whole = tmp_path / f"part.{suffix}", tmp_path / "whole.mkv"
    upscaled(truth, part, range="0.2-0.44", **made)
    upscaled(truth, whole, **made)
    for reference in (truth, whole):
        found = compared(reference, part)
        assert not found.findings
        assert len(found.seconds) == 6
        assert found.figures[0].overall["psnr"] > 40
        assert any(note.startswith(f"{part.name}: made with --range 0.2-0.44") for note in found.notes)
    other = film(tmp_path / "other.mkv", first_number=3)
    assert compared(other, part).findings[0].kind == "count"
    report_path(part).unlink()
    assert compared(truth, part).findings[0].kind == "count"


def test_videos_of_other_times_can_not_be_compared(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"no frame of it is shown when truth\.mkv shows one"):
        compared(truth, film(tmp_path / "late.mkv", pts=tuple(range(100, 114))))


def test_of_two_results_the_coarser_one_is_worse_by_every_figure(truth: Path, tmp_path: Path) -> None:
    fine, coarse = (film(tmp_path / f"{crf}.mkv", options={"crf": crf}) for crf in ("26", "44"))
    found = compared(fine, coarse, reference=truth)
    assert [f.file for f in found.figures] == ["26.mkv", "44.mkv"]
    assert found.reference == "truth.mkv"
    better, worse = (f.overall for f in found.figures)
    for name in ("vmaf", "vmaf_neg", "psnr", "psnr_chroma", "ssim", "xpsnr"):
        assert better[name] > worse[name], name
    assert better["flicker"] < worse["flicker"]
    assert "consistency" not in better
    assert 0 < len(found.moments) <= 5
    for moment in found.moments:
        assert moment.names == ("truth.mkv", "26.mkv", "44.mkv")
        assert len(set(moment.pictures)) == 3
        place = int(np.abs(found.seconds - moment.seconds).argmin())
        assert moment.scores[1]["vmaf"] == found.figures[1].values["vmaf"][place]
    assert any(m.scores[1]["vmaf"] == found.figures[1].values["vmaf"].min() for m in found.moments)


def test_psnr_is_that_of_the_decoded_planes(truth: Path, tmp_path: Path) -> None:
    coarse = film(tmp_path / "coarse.mkv", options={"crf": "40"})
    planes = []
    for path in (truth, coarse):
        with av.open(str(path)) as container:
            planes.append(
                np.stack([f.to_ndarray()[: SIZE[1]].astype(float) for f in container.decode(video=0)])
            )
    expected = 10 * np.log10(255**2 / np.mean((planes[0] - planes[1]) ** 2))
    flicker = np.abs(np.diff(planes[1] - planes[0], axis=0)).mean()
    overall = compared(truth, coarse).figures[0].overall
    assert overall["psnr"] == pytest.approx(expected)
    assert overall["flicker"] == pytest.approx(flicker)


def test_a_result_is_held_against_its_source_at_the_source_s_size_whichever_comes_first(
    truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch)
    output = tmp_path / "result.mkv"
    upscaled(truth, output, model="lanczos", scale=2, codec="ffv1")
    for order in ((truth, output), (output, truth)):
        found = compared(*order)
        assert found.reference == "truth.mkv"
        assert found.size == SIZE
        assert found.figures[0].overall["consistency"] == found.figures[0].overall["psnr"] > 35
        assert "result.mkv: 192x128, shrunk to 96x64" in found.notes[0]
    found = compared(output, output, source=truth)
    assert found.size == (192, 128)
    assert math.isinf(found.figures[0].overall["psnr"])
    assert 35 < found.figures[0].overall["consistency"] < math.inf


def test_videos_of_8_and_10_bits_are_brought_together(tmp_path: Path) -> None:
    plain, deep = film(tmp_path / "8.mkv", 4), film(tmp_path / "10.mkv", 4, pix_fmt="yuv420p10le")
    found = compared(plain, deep)
    assert not found.findings
    assert found.figures[0].overall["psnr"] > 38


def test_turned_videos_are_compared_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)
    turned, output = media.rotated(tmp_path / "turned.mp4", frames=3), tmp_path / "upright.mkv"
    upscaled(turned, output)
    found = compared(turned, output)
    assert found.size == (48, 64)
    assert found.figures[0].overall["psnr"] > 50


def test_frames_known_by_their_order_are_compared_too(tmp_path: Path) -> None:
    stream = media.raw(tmp_path / "in.h264")
    found = compared(stream, stream)
    assert len(found.seconds) == 24
    assert math.isinf(found.figures[0].overall["psnr"])


def test_pictures_too_small_for_vmaf_are_refused(tmp_path: Path) -> None:
    tiny = film(tmp_path / "tiny.mkv", 2, size=(32, 16))
    with pytest.raises(UsageError, match="VMAF wants"):
        compared(tiny, tiny)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("has_report", [True, False])
def test_what_was_made_of_a_recording_is_compared_from_its_start(tmp_path: Path, has_report: bool) -> None:
    """A recording's clock starts anywhere, and the output at 0."""
    source, made = media.start_offset(tmp_path / "in.ts", container="mpegts"), tmp_path / "out.mp4"
    upscaled(source, made, scale=2, model="lanczos", codec="h264", crf=18.0)
    if not has_report:
        report_path(made).unlink()
    found = compared(source, made)
    assert not found.findings
    assert len(found.seconds) == probe(source).frame_count
    (note,) = [n for n in found.notes if "shows everything" in n]
    assert note.startswith("out.mp4: shows everything 1.")
    assert ("by the report" in note) is has_report
    again = tmp_path / "again.mkv"
    upscaled(source, again, scale=2, model="lanczos")
    assert not compared(again, made).findings, "both start at 0"


@pytest.mark.usefixtures("inline")
def test_a_film_whose_sound_begins_before_0_is_compared_with_its_output_in_matroska(tmp_path: Path) -> None:
    source, made = media.company(tmp_path / "in.mp4", frames=14), tmp_path / "out.mkv"
    upscaled(source, made, scale=2, model="lanczos", convert_subtitles=True)
    found = compared(source, made)
    assert not found.findings
    assert not any("shows everything" in note for note in found.notes)


@pytest.mark.usefixtures("inline")
def test_an_output_without_black_bars_is_compared_with_what_it_was_made_of(tmp_path: Path) -> None:
    source = boxed(tmp_path / "in.mkv", PixelCrop(20, 20, 0, 0), 12)
    made = tmp_path / "out.mkv"
    upscaled(source, made, crop_bars=True, scale=2, model="lanczos")
    found = compared(source, made)
    width, height = upright_size(open_video(source))
    assert found.size == (width, height - 40)
    assert not found.findings
    assert found.figures[0].overall["psnr"] > 35
    assert any("compared with that part of the image" in note for note in found.notes)
    report_path(made).unlink()
    (finding,) = [f for f in compared(source, made).findings if f.kind == "shape"]
    assert "has another shape than in.mkv" in finding.text


def test_another_shape_of_samples_is_no_other_shape_of_the_image(tmp_path: Path) -> None:
    wide = film(tmp_path / "wide.mkv", size=(128, 64))
    narrow = film(tmp_path / "narrow.mkv", sar=Fraction(4, 3))
    found = compared(narrow, wide)
    assert not [f for f in found.findings if f.kind == "shape"]
    assert any("it is stretched" in note for note in found.notes)
    plain = film(tmp_path / "plain.mkv")
    assert [f.kind for f in compared(plain, wide).findings] == ["shape"]
