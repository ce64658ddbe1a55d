"""Tracks that a container can't hold are reported with a reason that users understand."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.containers.container_support import incompatible_streams, refuse_incompatible
from pipelines.output import trial
from pipelines.output.trial import tracks_that_fail
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from pipelines.settings.run_settings import RunSettings
from tests import media


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video, FLAC, AC-3, and subtitles as SubRip and ASS."""
    return media.write(
        tmp_path_factory.mktemp("film") / "in.mkv",
        media.Film(frames=4),
        audio=(media.Audio(codec="flac"), media.Audio(codec="ac3")),
        subtitles=(
            media.Subtitle(events=((0, 100, "one"),)),
            media.Subtitle(codec="ass", events=((0, 100, "two"),)),
        ),
    )


@pytest.mark.parametrize(
    ("container", "reasons"),
    [
        (
            "mov",
            {"flac": "mov can't hold flac", "srt": "mov can't hold srt", "ssa": "mov can't hold ssa"},
        ),
        ("mp4", {"srt": "mp4 can't hold srt", "ssa": "mp4 can't hold ssa"}),
        ("matroska", {}),
    ],
)
def test_a_codec_that_a_container_lacks_is_the_reason(
    film: Path, container: str, reasons: dict[str, str]
) -> None:
    assert {s.codec: why for s, why in incompatible_streams(probe(film), container)} == reasons


def test_a_refusal_does_not_repeat_that_the_container_lacks_the_codecs(film: Path) -> None:
    found = incompatible_streams(probe(film), "mp4")
    with pytest.raises(UsageError) as refused:
        refuse_incompatible(found, Path("out.mp4"), "mp4", ".mkv")
    assert str(refused.value).startswith(
        "out.mp4: mp4 can't hold subtitle stream 3 (srt), subtitle stream 4 (ssa); name an output that"
    )


def test_packets_that_a_muxer_refuses_are_said_to_be_refused_by_it(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan_video(film, tmp_path / "out.mkv", RunSettings(model="lanczos"))
    write = trial.write_result

    def refuse(*given: object, dropped: frozenset[int] = frozenset()) -> object:
        if 1 not in dropped:
            raise ValueError(errno.EINVAL, "Invalid argument")
        return write(*given, dropped=dropped)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "write_result", refuse)
    (found,) = tracks_that_fail(planned.plan, planned.info)
    assert found[0].index == 1
    assert found[1].startswith("FFmpeg's muxer of matroska refuses its packets (")
