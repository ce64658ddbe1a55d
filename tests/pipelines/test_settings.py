"""Settings come from TOML, and what does not fit is an error that says so."""

from __future__ import annotations

from fractions import Fraction

import pytest

from models.errors import UsageError
from pipelines.settings import RunSettings, TargetSettings, build_settings, merge, parse_range, read_settings
from vsr.api import run_settings


def test_unknown_key_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[encode]\ncodek = 'hevc'\n")
    with pytest.raises(UsageError, match="unknown key 'codek'"):
        read_settings(RunSettings, path)


@pytest.mark.parametrize("text", ["chunk_seconds = 'long'", "chunk_seconds = -1", "device = 'tpu'", "encode = 3", "[target]\nto = '5k'", "workers = true"])
def test_wrong_values_are_refused(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_settings(RunSettings, path)


def test_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("to = ")
    with pytest.raises(UsageError, match="not TOML"):
        read_settings(RunSettings, path)


def test_options_go_before_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("model = 'bicubic'\n[target]\nto = '8k'\n[encode]\ncodec = 'h264'\ncrf = 20\n")
    settings = run_settings(config=path, scale=2, crf=None, codec="av1")
    assert settings.target == TargetSettings(scale=2)
    assert (settings.model, settings.encode.codec, settings.encode.crf) == ("bicubic", "av1", 20.0)


def test_box_and_factor_exclude_each_other():
    with pytest.raises(UsageError, match="exclude"):
        run_settings(to="4k", scale=2)


def test_merge_leaves_the_original_alone():
    table = {"encode": {"crf": 3}}
    assert merge(table, {"encode.crf": 4}) == {"encode": {"crf": 4}}
    assert table == {"encode": {"crf": 3}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-2", (Fraction(0), Fraction(2))),
        ("1:30-1:35.5", (Fraction(90), Fraction(191, 2))),
        ("1:00:00-", (Fraction(3600), None)),
        ("-10", (Fraction(0), Fraction(10))),
    ],
)
def test_ranges_are_read_exactly(text, expected):
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["5", "a-b", "9-3", "3-3", "1:2:3:4-9"])
def test_ranges_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="FROM-TO"):
        parse_range(text)


def test_whole_numbers_serve_as_floats():
    assert build_settings(RunSettings, {"chunk_seconds": 2}).chunk_seconds == 2.0
