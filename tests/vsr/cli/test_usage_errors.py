"""Wrong usage ends with exit code 2 and one line before any work, whatever is typed or files are called."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.run.inputs import find_inputs
from pipelines.settings.option_values import parse_frame_rate, parse_range, parse_tile
from pipelines.settings.run_settings import RunSettings, TargetSettings
from tests import media
from tests.helpers.command import COPIED_AS_FFV1
from vsr.cli import main as command
from vsr.views.run_summary import Summary

IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")
_LONG = "9" * 5000


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return media.cfr(tmp_path / "film.mp4", frames=3)


# --- numbers


@pytest.mark.parametrize(
    "given",
    [
        ("--chunk-seconds", "inf"), ("--chunk-seconds", "nan"), ("--crf", "inf"), ("--crf", "nan"), ("--strength", "nan"), ("--cpus-per-worker", "inf"),
        ("--range", "1/0-2"), ("--range", "0-1/0"), ("--range", "1e999999999-2"), ("--range", f"0-{_LONG}"), ("--rate", "1/0"), ("--rate", "1e999999999"),
        ("--rate", _LONG), ("--to", f"{_LONG}x10"), ("--to", f"10x{_LONG}"), ("--tile", f"{_LONG}x64"), ("--cluster", f"local:{_LONG}"),
        ("--cluster", "local:1025"), ("--to", "15x40", "--model", "identity"), ("--target-vmaf", "0"), ("--target-size", ""), ("--model", "a" * 5000), ("-o", "-"),
    ],
    ids=lambda given: f"{given[0]} {given[1][:14]}",
)  # fmt: skip
def test_numbers_that_are_none_or_beyond_all_measure_are_refused(
    here, film: Path, given: tuple[str, ...]
) -> None:
    """Case 85."""
    here("run", film, "--codec", "h264", *given).refused(2, given[0])
    assert [p.name for p in film.parent.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--scale", "inf"), "--scale"), (("--detail",), "--detail"), (("--nonsense",), "--nonsense"), (("--codec", "zzz"), "--codec"),
        (("--video-stream", "1"), "--video-stream 1 is not one of its streams; it has one film, 0"),
    ],
)  # fmt: skip
def test_what_the_parser_refuses_is_one_line_as_well(
    here, film: Path, given: tuple[str, ...], said: str
) -> None:
    """Case 85."""
    here("run", film, *given).refused(2, said)
    assert '"exit_code": 2' in here("run", film, "--json", *given).out


@pytest.mark.parametrize("name", ["yuv420p;x", "nonsense", "rgb24", "", "yuv420p99le"])
def test_a_pixel_format_that_is_none_is_wrong_usage_and_no_fault_of_the_input(
    here, film: Path, name: str
) -> None:
    """Case 85."""
    here(
        "plan", film, "--scale", "1", "--model", "identity", "--codec", "h264", "--pixel-format", name
    ).refused(2, "--pixel-format")


@pytest.mark.parametrize(
    "given",
    [
        ("bench", "--seconds", "inf"),
        ("bench", "--seconds", "nan"),
        ("train", "--minutes", "inf"),
        ("train", "--cpus-per-worker", "inf"),
    ],
)
def test_infinite_amounts_are_refused_by_every_command(here, given: tuple[str, ...]) -> None:
    """Case 85."""
    outcome = here(*given)
    assert outcome.code == 2
    assert "not a finite number" in outcome.err


def test_fractions_and_decimals_are_read_as_they_stand() -> None:
    assert parse_range("1/2-01:00:00.25") == (parse_range("0.5-")[0], 3600 + parse_range(".25-")[0])
    assert parse_frame_rate("24000/1001") == parse_frame_rate("23.976")
    assert parse_tile("480x272") == (272, 480)
    with pytest.raises(UsageError):
        parse_range("-1:-5")
    with pytest.raises(UsageError):
        TargetSettings(to=f"{_LONG}x1")
    with pytest.raises(UsageError):
        RunSettings(chunk_seconds=float("inf"))


# --- encoders


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--codec", "h264", "--encoder-option", "nonsense=1"), "nonsense"),
        (("--codec", "h264", "--encoder-option", "x264-params=nonsense=1"), "nonsense"),
        (("--codec", "hevc", "--encoder-option", "x265-params=nonsense=1"), "nonsense"),
        (("--codec", "hevc", "--encoder-option", "x265-params=bframes=many"), "bframes"),
        (("--codec", "av1", "--encoder-option", "svtav1-params=nonsense=1"), "nonsense"),
        (("--codec", "ffv1", "--preset", "slow"), "slow"),
        (("--codec", "hevc", "--preset", "slowish"), "slowish"),
        (("--codec", "hevc", "--preset", "veryquick"), "placebo"),
        (("--codec", "h264", "--preset", "verifast"), "did you mean veryfast?"),
        (("--codec", "av1", "--pixel-format", "yuv444p"), "--pixel-format"),
        (("--codec", "prores", "--preset", "best"), "best"),
    ],
)
def test_options_and_presets_an_encoder_does_not_know_are_refused(
    here, film: Path, given: tuple[str, ...], said: str
) -> None:
    """Case 85."""
    here("plan", film, "--to", "128x96", "--model", "lanczos", "-o", film.parent / "o.mkv", *given).refused(
        2, said
    )


def test_options_of_a_picture_s_encoder_are_used_or_refused(here, tmp_path: Path) -> None:
    """Case 85."""
    source = tmp_path / "a.png"
    media.picture(0, 32, 24).to_image().save(source)
    for given, code in (("nonsense=1", 2), ("quality=40", 0)):
        outcome = here(
            "plan",
            source,
            "--scale",
            "2",
            "--model",
            "lanczos",
            "-o",
            tmp_path / "o.webp",
            "--encoder-option",
            given,
        )
        assert outcome.code == code, outcome.err


# --- names


def test_a_name_that_no_file_can_have_is_refused(here, film: Path) -> None:
    """Case 85."""
    for given in (
        ("run", "n" * 300),
        ("plan", "n" * 300),
        ("probe", "n" * 300),
        ("run", film, "-o", "n" * 300),
        ("run", film, "--summary", "n" * 300),
    ):
        here(*given).refused(2, "too long")
    with pytest.raises(UsageError, match="too long"):
        find_inputs([Path("n" * 300)], None)


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_that_can_t_be_listed_is_refused_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recursive: bool
) -> None:
    """Case 85."""
    media.cfr(tmp_path / "a.mp4", frames=1)
    locked = tmp_path / "locked" if recursive else tmp_path
    locked.mkdir(exist_ok=True)
    scan = os.scandir

    def refused(path: object = ".") -> object:
        if os.fspath(path) == str(locked):  # type: ignore[call-overload]
            raise PermissionError(errno.EACCES, "Permission denied", str(locked))
        return scan(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UsageError, match="can't be listed: Permission denied"):
        find_inputs([tmp_path], None, recursive=recursive)


def test_a_path_through_a_locked_folder_is_refused(
    here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 85."""

    def refused(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", refused)
    here("run", tmp_path / "a.mp4").refused(2, "Permission denied")


def test_a_name_that_is_no_utf_8_goes_through_and_is_shown(here, tmp_path: Path) -> None:
    """Case 72."""
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    media.cfr(tmp_path / "a.mp4", frames=3).rename(source)
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    for given in (
        ("probe", source),
        ("plan", source, *IDENTITY),
        ("run", source, *IDENTITY),
        ("run", source, tmp_path / "broken.mp4", *IDENTITY),
    ):
        outcome = here(*given)
        assert outcome.code == (8 if len(given) > len(IDENTITY) + 2 else 0), outcome.err
        assert "caf\ufffd" in outcome.out + outcome.err


def test_a_file_called_like_a_command_switches_no_check_off(
    here, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 81."""
    asked: list[bool] = []
    monkeypatch.setattr(command, "_refuse_known_holes", lambda: asked.append(True))
    monkeypatch.chdir(film.parent)
    film.rename("doctor")
    assert here("probe", "doctor").code == 0
    assert here("probe", "--", "--json").code == 3
    assert asked == [True, True]


def test_a_file_called_like_an_option_makes_no_json(
    here, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    assert here("probe", "--", "--json").events == []


# --- inputs together


def test_absolute_and_relative_inputs_go_together(
    here, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    media.cfr(tmp_path / "sub" / "b.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    outcome = here("run", film, "sub/b.mp4", "-o", "out", *IDENTITY, "--summary", "list.csv")
    assert outcome.code == 0, outcome.err
    assert len((tmp_path / "list.csv").read_text().splitlines()) == 3
    assert f"{film} " in outcome.err
    assert "sub/b.mp4 " in outcome.err
    for names in (("s3://bucket/a.mp4", "/abs/b.mp4"), ("a.mp4", "/b.mp4"), ("a.mp4",)):
        assert "0 of" in Summary({Path(n): n for n in names}).text()


def test_no_result_replaces_one_of_the_numbered_pictures_it_is_made_from(here, tmp_path: Path) -> None:
    for number in range(3):
        media.picture(number, 32, 24).to_image().save(tmp_path / f"frame_{number:05d}.png")
    before = (tmp_path / "frame_00001.png").read_bytes()
    (tmp_path / "out.mkv").hardlink_to(tmp_path / "frame_00001.png")
    given = ("run", tmp_path / "frame_%05d.png", "-o", tmp_path / "out.mkv", "--overwrite", *IDENTITY)
    outcome = here(*given)
    assert outcome.code == 2
    assert "out.mkv: is the input itself" in outcome.err
    assert (tmp_path / "out.mkv").read_bytes() == before


def test_numbered_pictures_into_a_file_that_is_there_are_already_done(here, tmp_path: Path) -> None:
    """Case 45."""
    (tmp_path / "shot").mkdir()
    for number in range(3):
        media.picture(number, 32, 24).to_image().save(tmp_path / "shot" / f"frame_{number:05d}.png")
    given = (
        "run",
        tmp_path / "shot" / "frame_%05d.png",
        "--rate",
        "24",
        "-o",
        tmp_path / "out.mkv",
        *IDENTITY,
    )
    assert here(*given).code == 0
    again = here(*given)
    assert again.code == 0, again.err
    assert "already done" in again.err
    here(*given, "--strength", "0.5").refused(2, "already exists")
