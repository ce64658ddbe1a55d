"""Settings: what is accepted, and the messages for the rest."""

from __future__ import annotations

import re
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from models.errors import UsageError
from pipelines.settings.option_values import parse_range, parse_tile, tile_text
from pipelines.settings.run_settings import EncodeSettings, RunSettings, TargetSettings
from pipelines.settings.settings_file import build_settings, merge, read_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:30-1:35.5", (90, Fraction(191, 2))), ("-5", (0, 5)), ("7-", (7, None)), ("0.1-0.2", (Fraction(1, 10), Fraction(1, 5))),
        ("1:00:00-1:00:01", (3600, 3601)), ("-", (0, None)), ("0m00s-0m15s", (0, 15)), ("1h02m03.5s-", (Fraction(7447, 2), None)),
        ("5s-10 s", (5, 10)), ("2min-1h", (120, 3600)),
    ],
)  # fmt: skip
def test_ranges_are_exact(text: str, expected: tuple[object, object]) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["5", "5-3", "5-5", "a-b", "1:2:3:4-9", "--", "-1--2", "1e-3"])
def test_ranges_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="FROM-TO"):
        parse_range(text)


@pytest.mark.parametrize("text", ["1:75-2:00", "1:60:00-", "-0:60"])
def test_a_range_of_more_seconds_than_a_minute_has_is_refused_by_the_form_it_should_have(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected FROM-TO in seconds or \[hh:\]mm:ss"):
        parse_range(text)


@pytest.mark.parametrize("text", ["5-3", "5-5"])
def test_a_range_that_ends_before_it_begins_is_called_that(text: str) -> None:
    with pytest.raises(UsageError, match="ends before it begins"):
        parse_range(text)


def test_an_unknown_key_of_a_file_is_named_with_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('model = "fast"\n[encode]\ncodex = "h264"\n')
    with pytest.raises(UsageError, match=r"unknown key 'codex'.*codec"):
        read_settings(RunSettings, path)


def test_a_file_is_read_and_overridden(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'model = "lanczos"\nchunk_seconds = 4\n[target]\nscale = 2\n[encode]\ncodec = "h264"\ncrf = 17\n'
    )
    found = read_settings(RunSettings, path, {"encode.crf": 20, "device": None})
    assert (found.model, found.chunk_seconds, found.target.scale, found.encode.codec, found.encode.crf) == (
        "lanczos",
        4.0,
        2,
        "h264",
        20.0,
    )


def test_shares_of_a_cluster_without_one_are_refused() -> None:
    shares: list[dict[str, Any]] = [{"gpus_per_worker": 0.5}, {"cpus_per_worker": 4.0}]
    for share in shares:
        with pytest.raises(UsageError, match="give --cluster, too"):
            RunSettings(**share)
        shared = RunSettings(cluster="auto", **share)
        assert shared.alone == RunSettings(workers=1)
        assert shared.execution.alone == shared.alone.execution


@pytest.mark.parametrize(
    "table",
    [
        {"chunk_seconds": "6"},
        {"workers": True},
        {"target": 3},
        {"device": "tpu"},
        {"workers": 0},
        {"chunk_seconds": -1.0},
        {"encode": {"codec": "mjpeg"}},
    ],
)
def test_values_that_do_not_fit_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        build_settings(RunSettings, table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"device": "tpu"}, "'tpu' is not a valid value; expected one of auto, cpu, cuda, xpu, mps$"),
        ({"workers": "two"}, "expected a whole number$"),
        ({"restore": "much"}, "expected a number, or auto$"),
        ({"crop_bars": 1}, "expected true or false$"),
    ],
)
def test_a_refused_value_is_answered_by_what_the_setting_takes(table: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build_settings(RunSettings, table)


def test_merging_leaves_the_original_alone() -> None:
    table = {"a": {"b": 1}}
    assert merge(table, {"a.c": 2, "d": None}) == {"a": {"b": 1, "c": 2}}
    assert table == {"a": {"b": 1}}


@pytest.mark.parametrize("to", ["0x5", "x", "axb", "5", "5x-3"])
def test_boxes_that_mean_nothing_are_refused(to: str) -> None:
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        TargetSettings(to=to)


@pytest.mark.parametrize("to", ["2x", "x2", "2X"])
def test_a_factor_in_place_of_a_box_is_answered_with_the_option_that_takes_it(to: str) -> None:
    with pytest.raises(UsageError, match=f"--to {to}: is a factor; give --scale 2"):
        TargetSettings(to=to)


@pytest.mark.parametrize("tile", ["480", "480x", "31x480", "480x31", "axb", "-480x272"])
def test_tiles_that_mean_nothing_are_refused(tile: str) -> None:
    with pytest.raises(UsageError, match="--tile .*WIDTHxHEIGHT"):
        RunSettings(tile=tile)


def test_a_tile_is_width_by_height_as_every_size_is() -> None:
    assert parse_tile("480x272") == (272, 480)
    assert tile_text((272, 480)) == "480x272"


def test_the_shipped_settings_can_be_read() -> None:
    folder = Path(__file__).resolve().parents[3] / "configs" / "run"
    for path in sorted(folder.glob("*.toml")):
        read_settings(RunSettings, path)


def test_default_file_says_the_defaults():
    path = Path(__file__).parents[3] / "configs" / "run" / "default.toml"
    assert read_settings(RunSettings, path) == RunSettings()
    shown = {line.split("=")[0].strip("# ") for line in path.read_text().splitlines() if "=" in line}
    plain = {f.name for kind in (RunSettings, TargetSettings, EncodeSettings) for f in fields(kind)}
    assert plain - {"target", "encode", "options"} <= shown, "a setting is missing"


@pytest.mark.parametrize(
    ("encode", "said"),
    [
        ({"crf": 52.0}, "--crf 52: libx265 takes 0 to 51"),
        ({"crf": -0.5, "codec": "av1"}, "--crf -0.5: libsvtav1 takes 0 to 63"),
        ({"crf": float("nan")}, "--crf nan: libx265 takes 0 to 51"),
        ({"crf": 60.0, "encoder": "nvenc"}, "--crf 60: hevc_nvenc takes 0 to 51"),
        ({"crf": 18.0, "codec": "ffv1"}, "--crf does not go with ffv1; use --preset or --encoder-option"),
        (
            {"preset": "14", "codec": "av1"},
            "--preset 14: expected draft, balanced, archive, or libsvtav1's own",
        ),
        ({"preset": "quick", "codec": "ffv1"}, "--preset quick: expected draft, balanced, archive"),
        ({"preset": "4444x", "codec": "prores"}, "did you mean 4444xq?"),
        ({"codec": "prores", "target_vmaf": 95.0}, "--target-vmaf 95: prores has no CRF to search for"),
        ({"codec": "av1", "encoder": "videotoolbox"}, "it does not encode av1; use --codec hevc or h264"),
        ({"codec": "ffv1", "encoder": "nvenc"}, "no hardware encodes ffv1; use --codec hevc, h264 or av1"),
    ],
    ids=str,
)
def test_what_no_encoder_takes_is_refused_before_any_film_is_looked_at(
    encode: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        EncodeSettings(**encode)


def test_presets_of_the_encoders_themselves_are_accepted() -> None:
    for codec, preset in (("hevc", "placebo"), ("av1", "13"), ("prores", "4444xq"), ("ffv1", "archive")):
        assert EncodeSettings(codec=codec, preset=preset).preset == preset
    assert EncodeSettings(encoder="nvenc", preset="p7").preset == "p7"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('to = "4k"', "unknown key 'to'; it belongs into the table [target]"),
        ("crf = 20", "unknown key 'crf'; it belongs into the table [encode]"),
        ('target = "4k"', "target: expected a table with some of to, scale"),
        ('modle = "fast"', "unknown key 'modle'; did you mean model?"),
        ("[encode]\ncodecs = 1", "encode: unknown key 'codecs'; did you mean codec?"),
    ],
)
def test_a_key_at_the_wrong_place_is_answered_with_the_right_one(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        read_settings(RunSettings, path)
