"""Telecined film is restored to its film frames, however the work is divided. Case 97."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.plan.events import ChunkFinished
from pipelines.plan.timeline import timeline
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.combs import comb_share
from tests.helpers.inline import QUICK, finished_of, planned_of, upscaled
from tests.helpers.sameness import assert_same_passthrough, assert_same_times
from tests.helpers.telecine import Telecined, film_frame, pulled_down, three_two, write_fields
from tests.helpers.view import decoded, frames, planes, view
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

FRAME = Fraction(1001, 30000)


@pytest.fixture(scope="module")
def film() -> dict[int, np.ndarray]:
    return {n: film_frame(n) for n in range(48)}


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters are kept for the next run, which would not look again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def expected_times(made: Telecined) -> list[Fraction]:
    """Of film frames with both fields: from the first field on that shows them, half a field later where three do."""
    fields, times = made.fields, []
    for number in made.whole:
        first, count = fields.index(number), fields.count(number)
        times.append((2 * first + count - 2) * FRAME / 4)
    return [Fraction(0), *times[1:]]


def decibels(output: Path, film: dict[int, np.ndarray], numbers: list[int]) -> list[float]:
    """PSNR of the luma of each frame of a result against its film frame."""
    shown = [planes(f)[0] for f in decoded(output)]
    assert len(shown) == len(numbers)
    errors = [np.mean((s - film[n]) ** 2) for s, n in zip(shown, numbers, strict=True)]
    return [float(10 * np.log10(255**2 / max(1e-9, e))) for e in errors]


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("phase", range(5))
def test_every_phase_comes_back_as_its_own_film_frames(
    tmp_path: Path, film: dict[int, np.ndarray], first: str, phase: int
) -> None:
    """Case 97."""
    made = pulled_down(film, three_two(range(28), phase), first)
    source = write_fields(tmp_path / "in.mp4", made.frames, first=first)
    events = upscaled(source, tmp_path / "out.mp4", codec="h264", crf=12.0, preset="ultrafast")
    planned = planned_of(events)
    assert planned.plan.pulldown is not None
    assert "inverse telecine" in " ".join(planned.info.notes)
    assert min(decibels(tmp_path / "out.mp4", film, made.whole)) >= 33
    shown = frames(tmp_path / "out.mp4")
    assert_same_times([f.seconds for f in shown], expected_times(made))
    assert planned.plan.rate == Fraction(24000, 1001)
    with av.open(str(tmp_path / "out.mp4")) as result:
        stream = result.streams.video[0]
        assert stream.duration * stream.time_base == len(made.frames) * FRAME


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_noise_rest_cuts_and_fades_leave_the_cadence_whole(tmp_path: Path, codec: str) -> None:
    """Case 97."""
    random = np.random.default_rng(5)
    film = {n: film_frame(n, seed=1 + n // 9, still=0.6 if n > 24 else 0.0) for n in range(48)}
    fade = {n: 16 + (f - 16) * min(1, abs(n - 20) / 8) for n, f in film.items()}
    made = pulled_down(fade, three_two(range(48), 3))
    noisy = [(f + random.normal(0, 5, f.shape)).clip(0, 255) for f in made.frames]
    source = write_fields(tmp_path / "in.mkv", noisy, codec=codec)
    output = tmp_path / "out.mkv"
    upscaled(source, output, deinterlace="ivtc")
    quality = decibels(output, fade, made.whole)
    assert min(quality) >= 31  # of the noise alone it is 34


def test_any_cut_gives_the_same_frames(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97: and so does work that was stopped."""
    fields = three_two(range(20), 1) + list(range(100, 117)) + three_two(range(30, 48), 2)
    moments = {100 + n: film_frame(n, speed=1.5, seed=7) for n in range(17)}
    made = pulled_down({**film, **moments}, fields[: len(fields) // 2 * 2])
    source = write_fields(tmp_path / "in.mp4", made.frames)
    digests = {}
    for name, seconds in (("one", 1e6), ("many", 0.01), ("some", 0.3)):
        events = upscaled(source, tmp_path / f"{name}.mkv", deinterlace="ivtc", chunk_seconds=seconds)
        digests[name] = [(f.digest, f.seconds) for f in frames(tmp_path / f"{name}.mkv")]
        assert finished_of(events).frames == planned_of(events).plan.frame_count == len(digests[name])
    settings = run_settings(**QUICK, deinterlace="ivtc", chunk_seconds=0.3)
    output = tmp_path / "stopped.mkv"
    stopped = upscale_video(source, output, settings)
    for event in stopped:
        if isinstance(event, ChunkFinished) and event.chunks_done == 2:
            break
    stopped.close()
    events = upscaled(source, output, deinterlace="ivtc", chunk_seconds=0.3)
    assert planned_of(events).chunks_done == 2
    digests["stopped"] = [(f.digest, f.seconds) for f in frames(output)]
    assert len(set(map(tuple, digests.values()))) == 1
    assert view(output).film.payloads == view(tmp_path / "some.mkv").film.payloads


def test_a_part_has_the_film_frames_of_the_whole(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97: with the sound of just as long."""
    source = write_fields(tmp_path / "in.mp4", pulled_down(film, three_two(range(40))).frames)
    upscaled(source, tmp_path / "whole.mkv", deinterlace="ivtc")
    whole = [f.digest for f in frames(tmp_path / "whole.mkv")]
    for start in range(10, 15):
        output = tmp_path / f"{start}.mkv"
        part = f"{float(start * FRAME - FRAME / 2):.4f}-{float((start + 7) * FRAME - FRAME / 2):.4f}"
        planned = planned_of(upscaled(source, output, deinterlace="ivtc", range=part, chunk_seconds=0.1))
        plan = planned.plan
        assert (plan.start_frame, plan.stop_frame) == (start, start + 7)
        assert plan.pulldown is not None
        shown = frames(output)
        assert [f.digest for f in shown] == whole[plan.results(start) : plan.results(start + 7)]
        assert shown[0].seconds == 0
        times = timeline(planned.info, plan)
        assert (times.start, times.stop) == (start * FRAME, (start + 7) * FRAME)


def test_breaks_of_the_cadence_cost_no_frame_that_is_whole(
    tmp_path: Path, film: dict[int, np.ndarray]
) -> None:
    """Case 97: every frame is shown within a field of where it was."""
    one = three_two(range(48))
    for cut, skipped in ((34, 10), (36, 4), (38, 8), (42, 6), (46, 2)):
        made = pulled_down(film, one[:cut] + one[cut + skipped :])
        source = write_fields(tmp_path / f"{cut}.mp4", made.frames)
        output = tmp_path / f"{cut}.mkv"
        planned = planned_of(upscaled(source, output))
        assert planned.plan.pulldown is not None
        assert "cadence breaks" in " ".join(planned.info.notes) or skipped == 10
        assert min(decibels(output, film, made.whole)) >= 33
        for shown, number in zip(frames(output), made.whole, strict=True):
            assert abs(shown.seconds - made.fields.index(number) * FRAME / 2) <= FRAME


def test_video_within_film_keeps_its_own_rate(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97: fields of sixty moments are deinterlaced, frames of thirty stay whole, film around them is woven."""
    moments = {100 + n: film_frame(n, speed=1.5, seed=7) for n in range(50)}
    for kind, middle in (("video", list(range(100, 150))), ("thirty", [100 + n // 2 * 2 for n in range(50)])):
        fields = three_two(range(24)) + middle + three_two(range(24, 48))
        source = write_fields(tmp_path / f"{kind}.mp4", pulled_down({**film, **moments}, fields).frames)
        output = tmp_path / f"{kind}.mkv"
        events = upscaled(source, output, deinterlace="ivtc")
        plan = planned_of(events).plan
        assert plan.pulldown is not None
        letters = plan.pulldown.letters
        assert letters[32:53] == ("V" if kind == "video" else "W") * 21
        assert letters.count("V" if kind == "video" else "W") <= 26
        assert abs(plan.frame_count - (24 + 25 + 24)) <= 1
        assert max(comb_share(planes(f)[0]) for f in decoded(output)) < 0.005
        said = " ".join(planned_of(events).info.notes)
        assert ("video, deinterlaced" if kind == "video" else "whole frames") in said


def test_text_that_crawls_over_film_is_not_left_combed(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97: film frames with something of another cadence on them are deinterlaced one by one."""
    made = pulled_down(film, three_two(range(40)))
    for number, frame in enumerate(made.frames):
        for field in (0, 1):
            rows = np.arange(72 + field, 96, 2)
            columns = np.arange(frame.shape[1])[None] + 3 * (2 * number + field)
            frame[rows] = 40 + 180 * (columns // 9 % 2)
    source = write_fields(tmp_path / "in.mp4", made.frames)
    events = upscaled(source, tmp_path / "out.mkv", deinterlace="ivtc")
    plan = planned_of(events).plan
    assert plan.pulldown is not None
    assert sum(map(plan.pulldown.is_deinterlaced, range(50))) > 30
    assert max(comb_share(planes(f)[0]) for f in decoded(tmp_path / "out.mkv")) < 0.005


def test_sound_stays_next_to_film_frames(tmp_path: Path) -> None:
    """Case 97."""
    woven = tuple(
        (4 * (n // 5) + t, 4 * (n // 5) + b)
        for n in range(60)
        for t, b in [((0, 0), (1, 1), (1, 2), (2, 3), (3, 3))[n % 5]]
    )
    telecined = media.Film(frames=60, rate=1 / FRAME, size=(128, 96), woven=woven)
    source = media.write(tmp_path / "in.mp4", telecined, audio=(media.Audio(seconds=2.0),))
    events = upscaled(source, tmp_path / "out.mp4", codec="h264", crf=18.0, preset="ultrafast")
    assert planned_of(events).plan.frame_count == 48
    assert_same_passthrough(tmp_path / "out.mp4", source, kinds=("audio",))
    shown = frames(tmp_path / "out.mp4")
    assert_same_times([f.seconds for f in shown], [n * Fraction(1001, 24000) for n in range(48)])


@pytest.mark.parametrize("said", ["10:00:00:20", "10:00:00;20"])
def test_a_timecode_goes_on_in_film_frames(tmp_path: Path, said: str) -> None:
    """Case 97."""
    woven = tuple(
        (4 * (n // 5) + t, 4 * (n // 5) + b)
        for n in range(40)
        for t, b in [((0, 0), (1, 1), (1, 2), (2, 3), (3, 3))[n % 5]]
    )
    telecined = media.Film(frames=40, rate=1 / FRAME, size=(128, 96), woven=woven)
    source = media.write(tmp_path / "in.mov", telecined, metadata={"timecode": said})
    upscaled(source, tmp_path / "out.mov", codec="h264", crf=18.0, preset="ultrafast")
    with av.open(str(tmp_path / "out.mov")) as result:
        assert {s.metadata["timecode"] for s in result.streams if "timecode" in s.metadata} == {"10:00:00:16"}
        assert len(result.streams) == 2
