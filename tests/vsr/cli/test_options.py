"""Options as people habitually type them are understood, or answered with what to type instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from models.errors import MediaError, UsageError
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from pipelines.quality.judgement import METRICS
from pipelines.settings.crf_target import parse_bytes
from pipelines.settings.run_settings import CODECS, DEVICES, ENCODERS, PRECISIONS
from tests import media
from tests.helpers.command import COPIED_AS_H264, vsr
from vsr.api import run_settings
from vsr.cli.command_group import _HABITS
from vsr.cli.commands.evaluate import evaluate
from vsr.cli.commands.plan import plan
from vsr.cli.commands.run import run
from vsr.cli.main import cli, main
from vsr.cli.option_types import Amount, CodecName, Factor, RestorationLevel
from vsr.presets import presets


@pytest.mark.parametrize(
    ("typed", "codec"),
    [
        ("h265", "hevc"),
        ("H.265", "hevc"),
        ("x265", "hevc"),
        ("x264", "h264"),
        ("avc", "h264"),
        ("svt-av1", "av1"),
        ("HEVC", "hevc"),
    ],
)
def test_codecs_go_by_the_names_of_their_encoders_too(typed: str, codec: str) -> None:
    assert CodecName().convert(typed, None, None) == codec


def test_an_unknown_codec_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        click.BadParameter, match="'vp9' is not one of 'hevc', 'h264', 'av1', 'prores', 'ffv1'"
    ):
        CodecName().convert("vp9", None, None)


@pytest.mark.parametrize(
    ("kind", "typed", "number"),
    [
        (Amount(), "20.0", 20.0),
        (Amount("s"), "6s", 6.0),
        (Amount(is_share=True), "50%", 0.5),
        (Amount(is_share=True), "0.5", 0.5),
        (RestorationLevel(), "80 %", 0.8),
        (RestorationLevel(), "Auto", "auto"),
    ],
)
def test_a_number_may_carry_its_unit(kind: click.ParamType, typed: str, number: object) -> None:
    assert kind.convert(typed, None, None) == number


@pytest.mark.parametrize("kind", [Amount(), Amount("s"), Amount(is_share=True), RestorationLevel()])
def test_what_is_no_number_is_answered_with_one(kind: click.ParamType) -> None:
    with pytest.raises(click.BadParameter, match="'high' is not a number; expected one such as"):
        kind.convert("high", None, None)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("--threads", "all cores are used without it"),
        ("--memory", "--tile 480x272"),
        ("--gpu", "--device cuda"),
        ("--fps", "--rate sets that of numbered pictures"),
        ("--start", "--range 1:30-1:45"),
        ("-i", "name the file without an option"),
        ("--force", "--overwrite"),
    ],
)
def test_options_of_other_programs_are_answered_with_what_to_give(
    capsys: pytest.CaptureFixture[str], typed: str, answer: str
) -> None:
    for command in ("run", "plan"):
        with pytest.raises(SystemExit) as ended:
            main([command, "film.mp4", typed, "2"])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert f"No such option '{typed}': " in said
        assert answer in said


def test_every_option_of_another_program_is_none_of_ours() -> None:
    own = {name for command in (run, plan) for option in command.params for name in option.opts}
    assert not own & {name for names in _HABITS for name in names.split("|")}


@pytest.mark.parametrize("typed", ["2", "2x", "x2", "2X", "2.0", "200%"])
def test_a_factor_may_carry_an_x(typed: str) -> None:
    assert Factor().convert(typed, None, None) == 2


@pytest.mark.parametrize("typed", ["1.5", "1.5x", "two", "3/2"])
def test_a_factor_that_is_not_whole_is_answered_with_the_option_that_takes_any_size(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a whole number; --to takes any size, such as --to"):
        Factor().convert(typed, None, None)


def test_a_misspelt_option_is_answered_with_the_closest_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(media.cfr(tmp_path / "film.mp4", frames=2)), "--modle", "fast"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Did you mean '--model'?" in said
    assert "--codec" not in said


def test_an_option_of_another_meaning_is_not_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["preview", "film.mp4", "--frames", "3"])
    said = capsys.readouterr().err
    assert "No such option '--frames'" in said
    assert "Did you mean" not in said


@pytest.mark.parametrize("option", ["--cluster", "--workers", "--summary"])
def test_an_option_that_only_a_run_has_is_said_to_be_one(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "film.mp4", option, "2"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"No such option '{option}': `vsr run` has it; leave it out here" in said
    assert "Did you mean" not in said


def test_a_misspelt_file_is_answered_with_the_one_that_is_there(tmp_path: Path) -> None:
    film = media.cfr(tmp_path / "film.mp4", frames=2)
    with pytest.raises(MediaError, match=f"No such file or directory; did you mean {film}\\?"):
        probe(tmp_path / "flm.mp4")
    with pytest.raises(MediaError, match="No such file or directory$"):
        probe(tmp_path / "holiday.mkv")


def test_of_a_factor_the_help_shows_no_bounds_that_are_none() -> None:
    told = CliRunner().invoke(cli, ["run", "--help"]).output
    assert "None" not in told
    assert "auto|0..1" in told
    assert "Folder of the page" in CliRunner().invoke(cli, ["preview", "--help"]).output


def test_a_codec_for_a_picture_is_said_to_be_without_effect(tmp_path: Path) -> None:
    photo = media.write(tmp_path / "photo.jpg", media.Film(frames=1, codec="mjpeg", pix_fmt="yuvj420p"))
    given = ["plan", str(photo), "--scale", "2", "--model", "lanczos"]
    assert "--codec" not in CliRunner().invoke(cli, given, catch_exceptions=False).output
    told = CliRunner().invoke(cli, [*given, "--codec", "h264"], catch_exceptions=False).output
    assert "--codec h264 is for films; an image is what its name says" in told


def test_an_output_that_is_the_input_is_refused_before_the_input_is_looked_at(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"nothing that could be read")
    with pytest.raises(UsageError, match="is the input itself; choose another -o"):
        plan_video(film, film, run_settings())


@pytest.mark.parametrize("typed", ["8", "0.7", "4.7 "])
def test_a_size_without_a_unit_is_no_number_of_bytes(typed: str) -> None:
    with pytest.raises(UsageError, match="expected a size such as 8GB"):
        parse_bytes(typed)
    assert parse_bytes("8 b") == 8
    assert parse_bytes("4.3g") == parse_bytes("4.3 GB")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("720p", "64x48 -> 960x720"),
        ("2160p", "-> 2880x2160"),
        ("uhd", "-> 2880x2160"),
        ("4320p", "-> 5760x4320"),
    ],
)
def test_sizes_go_by_their_number_of_lines(tmp_path: Path, size: str, expected: str) -> None:
    film = media.cfr(tmp_path / "film.mp4", frames=4)
    outcome = CliRunner().invoke(
        cli, ["plan", str(film), "--to", size, "--model", "lanczos"], catch_exceptions=False
    )
    assert expected in outcome.output


def test_a_file_in_place_of_a_command_is_answered_with_the_command_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my film.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(cli, ["my film.mp4", "--to", "4k"])
    assert outcome.exit_code == 2
    assert "to upscale it: vsr run 'my film.mp4' --to 4k" in outcome.output


@pytest.mark.parametrize(
    ("codec", "crf", "highest"),
    [("hevc", "80", 51), ("h264", "52", 51), ("av1", "64", 63), ("h264", "-1", 51), ("hevc", "inf", 51)],
)
def test_a_quality_beyond_the_encoder_s_scale_is_refused_with_the_scale(
    tmp_path: Path, codec: str, crf: str, highest: int
) -> None:
    film = media.cfr(tmp_path / "film.mp4", frames=4)
    with pytest.raises(UsageError, match=f"^--crf {crf}: lib[a-z0-9]+ takes 0 to {highest}$"):
        CliRunner().invoke(
            cli,
            ["plan", str(film), "--scale", "2", "--model", "lanczos", "--codec", codec, "--crf", crf],
            catch_exceptions=False,
        )


def test_clean_deletes_nothing_where_nobody_can_answer(tmp_path: Path) -> None:
    work = tmp_path / ".film.mkv.vsr-work"
    work.mkdir()
    assert CliRunner().invoke(cli, ["clean", str(tmp_path)], input="n\n").output.endswith("nothing deleted\n")
    with pytest.raises(UsageError, match="nothing deleted; --yes deletes without asking"):
        CliRunner().invoke(cli, ["clean", str(tmp_path)], input="", catch_exceptions=False)
    assert work.is_dir()


def test_the_codecs_offered_are_those_of_the_settings() -> None:
    from pipelines.settings.run_settings import CODEC_ALIASES, CODECS

    assert tuple(CodecName().choices) == CODECS
    assert set(CODEC_ALIASES.values()) <= set(CODECS)
    assert presets(), "settings files that are read with them"


def test_choices_of_options_are_those_of_the_settings() -> None:
    def choices(command: click.Command, name: str) -> tuple[str, ...]:
        (found,) = [p.type for p in command.params if p.name == name]
        assert isinstance(found, click.Choice)
        return tuple(found.choices)

    assert choices(run, "codec") == CODECS
    assert choices(run, "encoder") == ENCODERS
    assert choices(run, "device") == DEVICES
    assert choices(run, "precision") == PRECISIONS
    assert choices(evaluate, "names") == METRICS


def test_a_name_among_several_that_means_no_file_is_refused_before_any_work(tmp_path: Path) -> None:
    """As `ffmpeg` takes it, the second name would be the output's."""
    film, output = media.cfr(tmp_path / "film.mp4", frames=2), tmp_path / "out.mp4"
    vsr("run", film, output, *COPIED_AS_H264).refused(2, "out.mp4: no such file", f"-o {output}")
    vsr("run", output, film, *COPIED_AS_H264).refused(2, "out.mp4: no such file", "leave it out")
    assert sorted(tmp_path.iterdir()) == [film]


@pytest.mark.parametrize(("command", "is_kept"), [("run", True), ("plan", False), ("probe", False)])
def test_only_commands_that_keep_work_say_so_when_they_are_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, is_kept: bool
) -> None:
    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", stopped)
    monkeypatch.setattr("vsr.cli.main.threading.active_count", lambda: 1)
    with pytest.raises(SystemExit) as end:
        main([command, "film.mp4"])
    assert end.value.code == 130
    assert ("kept" in capsys.readouterr().err) == is_kept


def test_names_that_other_programs_give_the_run_are_answered_with_it() -> None:
    for name in ("upscale", "enhance", "convert"):
        vsr(name, "film.mp4").refused(2, f"No such command {name!r}", "Did you mean 'run'")


def test_an_unknown_preset_is_answered_by_the_command_it_was_given_to(tmp_path: Path) -> None:
    vsr("presets", "movie4k").refused(
        2, "vsr: movie4k: there is no such file or preset; did you mean movie-4k"
    )
    vsr("plan", "film.mp4", "--config", "movie4k").refused(2, "--config movie4k: there is no such")
    vsr("plan", "film.mp4", "--preset", "movie-4k").refused(
        2, "are given by --config; give --config movie-4k"
    )
    vsr("plan", "film.mp4", "--config", "balanced").refused(2, "give --preset balanced")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("--restore", "0.5", "--model", "fast"),
            "--restore 0.5: --model fast has no such level; give --model real-fast or real, or leave --restore out",
        ),
        (("--detail", "0", "--model", "lanczos"), "--detail 0: --model lanczos has no such level"),
        (
            ("--detail", "0.2", "--config", "draft", "--model", "identity,quality"),
            "--model identity,quality has no",
        ),
    ],
)
def test_a_level_that_no_network_takes_is_refused(
    here: Any, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    film = media.cfr(tmp_path / "film.mp4", frames=3)
    here("run", film, "--scale", "2", *given).refused(2, said)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_level_of_a_settings_file_that_no_network_takes_is_said(here: Any, tmp_path: Path) -> None:
    film, config = media.cfr(tmp_path / "film.mp4", frames=3), tmp_path / "own.toml"
    config.write_text("restore = 0.5\ndetail = 0.1\n")
    found = here("plan", film, "--scale", "2", "--config", config, "--model", "lanczos")
    assert found.code == 0, found.err
    assert "--restore 0.5 has nothing to do: lanczos has no such level" in found.out + found.err
    assert "--detail 0.1 has nothing to do" in found.out + found.err
