"""The page of a preview opens from disk, loads nothing from elsewhere, and contains the results."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.diagnostics.preview import Choice
from tests import media
from tests.helpers.command import vsr
from vsr.pages.preview_page import preview_text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("page")
    film = media.cfr(folder / "a <film> & more.mkv", frames=20, rate=Fraction(25))
    outcome = vsr(
        "preview",
        film,
        "--shots",
        "2",
        "--models",
        "lanczos,fast",
        "--scale",
        "2",
        "--codec",
        "h264",
        "--device",
        "cpu",
        "--json",
    )
    assert outcome.code == 0, outcome.err
    assert (
        len(re.findall(r"side-by-side\.png \(left to right: lanczos, fast\)$", outcome.err, re.MULTILINE))
        == 2
    )
    return film, outcome.event("preview")


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))


def test_the_page_lies_next_to_the_film_with_its_pictures(made: tuple[Path, dict]) -> None:
    film, told = made
    assert Path(told["page"]) == film.with_name("a <film> & more.preview") / "index.html"
    assert all(Path(f).is_file() for m in told["moments"] for f in m["files"])
    assert [m["model"] for m in told["models"]] == ["lanczos", "fast"]
    assert all(m["size"] == [128, 96] and m["fps"] > 0 and m["bytes"] > 0 for m in told["models"])


def test_pictures_are_inside_and_nothing_is_fetched(made: tuple[Path, dict]) -> None:
    _, told = made
    text = Path(told["page"]).read_text(encoding="utf-8")
    reader = Reader(text)
    whole = "the whole frame, with the part shown marked"
    assert [i["alt"] for i in reader.images] == ["lanczos", "fast", whole] * 2
    reader.images = [i for i in reader.images if i["alt"] != whole]
    files = [f for m in told["moments"] for f in m["files"][:-1]]
    for image, file in zip(reader.images, files, strict=True):
        assert (
            base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == Path(file).read_bytes()
        )
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)|<link", text)
    assert "default-src 'none'" in text


def test_names_of_files_are_text_and_no_markup(made: tuple[Path, dict]) -> None:
    text = Path(made[1]["page"]).read_text(encoding="utf-8")
    assert "<h1>a &lt;film&gt; &amp; more.mkv</h1>" in text
    assert "film" not in Reader(text).tags


def test_people_get_a_line_a_network(made: tuple[Path, dict], tmp_path: Path) -> None:
    outcome = vsr(
        "preview",
        made[0],
        "--at",
        "0.4",
        "--models",
        "nearest",
        "--scale",
        "2",
        "--codec",
        "ffv1",
        "--device",
        "cpu",
        "-o",
        tmp_path / "new" / "p",
    )
    assert re.search(r"^nearest  128x96  about [0-9.]+ fps, .* in all, ", outcome.out, re.MULTILINE), (
        outcome.err
    )
    assert json.dumps(str(tmp_path))[1:-1] in outcome.out
    command = f"  vsr run '{made[0]}' --model nearest --scale 2 --codec ffv1 --device cpu"
    assert command in outcome.out.splitlines()


def test_one_network_of_several_is_named_as_slowed_down_by_other_programs() -> None:
    choice = Choice("lanczos", 1, (8, 8), 2.0, 10.0, 100, share=0.5)
    shown = SimpleNamespace(input="in.mkv", choices=[replace(choice, model=m) for m in ("lanczos", "fast")])
    assert "\nfast: that is with the machine to itself" in preview_text(shown)  # type: ignore[arg-type]
    shown.choices.pop()
    assert "\nthat is with the machine to itself" in preview_text(shown)  # type: ignore[arg-type]


def test_one_network_at_a_time_is_named_by_models(made: tuple[Path, dict]) -> None:
    outcome = vsr("preview", made[0], "--model", "fast")
    assert outcome.code == 2
    assert "--models" in outcome.err
