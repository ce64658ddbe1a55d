"""Names of results. Case 73: no template can leave the output folder."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import UsageError
from pipelines.plan.output_names import result_name, same_name_key
from pipelines.settings.name_template import DEFAULT_TEMPLATE, check_template, template_suffix

PLAN: Any = SimpleNamespace(out_width=3840, out_height=2160, encoder=SimpleNamespace(codec="hevc"),
                            stages=[SimpleNamespace(card=SimpleNamespace(name="fast-x2")), SimpleNamespace(card=SimpleNamespace(name="a/b"))])  # fmt: skip
PORTRAIT: Any = SimpleNamespace(out_width=2160, out_height=3840, encoder=PLAN.encoder, stages=PLAN.stages)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (DEFAULT_TEMPLATE, "film.2160p.mp4"),
        ("{stem}.{height}p{suffix}", "film.2160p.mp4"),
        ("4K {stem} {width}x{height} {codec}.mkv", "4K film 3840x2160 hevc.mkv"),
        ("{stem} {model}{suffix}", "film fast-x2+a_b.mp4"),
        ("{{{stem}}}{suffix}", "{film}.mp4"),
    ],
)
def test_fields_are_filled_in(template: str, name: str) -> None:
    assert result_name(check_template(template), Path("in/film.mov"), ".mp4", PLAN) == name


@pytest.mark.parametrize(("part", "name"), [
    ((Fraction(0), Fraction(2)), "film.2160p.0m00s-0m02s.mp4"),
    ((Fraction(3, 2), Fraction(754)), "film.2160p.0m01.5s-12m34s.mp4"),
    ((Fraction(3661), Fraction(7323, 2) + Fraction(1, 3)), "film.2160p.1h01m01s-1h01m01.833s.mp4"),
])  # fmt: skip
def test_a_part_of_a_film_has_its_times_in_its_name(part: tuple[Fraction, Fraction], name: str) -> None:
    assert result_name(DEFAULT_TEMPLATE, Path("film.mov"), ".mp4", PLAN, part) == name
    assert result_name("{stem}{suffix}", Path("film.mov"), ".mp4", PLAN, part) == "film.mp4"


def test_a_portrait_film_is_called_by_its_shorter_side() -> None:
    assert result_name(DEFAULT_TEMPLATE, Path("film.mov"), ".mp4", PORTRAIT) == "film.2160p.mp4"


@pytest.mark.parametrize(
    "template",
    ["../{stem}{suffix}", "/tmp/{stem}{suffix}", "a/{stem}{suffix}", "{stem}\0{suffix}", "{stem.__class__}{suffix}", "{stem[0]}{suffix}",
     "{stem!r}{suffix}", "{stem:>9}{suffix}", "{0}{suffix}", "{}{suffix}", "{folder}{suffix}", "{stem", "{stem}", "", "film"],
)  # fmt: skip
def test_what_is_no_name_of_a_file_by_known_fields_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--output-template"):
        check_template(template)


@pytest.mark.parametrize("stem", [Path("in/...mp4"), Path("x" * 255)])
def test_a_source_s_name_does_not_lead_out_either(stem: Path) -> None:
    template = "{stem}{suffix}"
    with pytest.raises(UsageError, match="not a file name|longer than"):
        result_name(check_template(template), stem, "" if stem.stem == ".." else ".mp4", PLAN)


def test_the_ending_that_is_written_out_decides_the_container() -> None:
    assert [
        template_suffix(t) for t in ("{stem}.MKV", "{stem}{suffix}", "{stem}.x{suffix}", "{stem}.", "a.mp4")
    ] == [".mkv", "", "", "", ".mp4"]


@pytest.mark.parametrize(("system", "same"), [("win32", True), ("darwin", True), ("linux", False)])
def test_names_that_differ_in_case_are_one_name_where_the_system_has_it_so(
    system: str, same: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Case 92."""
    monkeypatch.setattr("sys.platform", system)
    assert (same_name_key(tmp_path / "Film.MP4") == same_name_key(tmp_path / "film.mp4")) == same


def test_a_name_that_windows_has_not_is_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 92."""
    templates = (
        "{stem}: new{suffix}",
        "nul{suffix}",
        "nul {suffix}",
        "com\u00b9{suffix}",
        "CONIN$",
        "{stem}.",
    )
    templates += ("{stem}\tnew{suffix}",)
    for template in templates:
        assert result_name(template, Path("film.mp4"), ".mkv", PLAN)
    monkeypatch.setattr("sys.platform", "win32")
    for template in templates:
        with pytest.raises(UsageError, match="is not a valid file name on Windows"):
            result_name(template, Path("film.mp4"), ".mkv", PLAN)
    assert result_name("{stem} new{suffix}", Path("film.mp4"), ".mkv", PLAN) == "film new.mkv"  # type: ignore[arg-type]
