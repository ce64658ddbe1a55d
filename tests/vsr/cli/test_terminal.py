"""Control characters in untrusted names of files and tags never reach the terminal. Case 80."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest

from pipelines.plan.events import Note
from tests import media
from tests.helpers.command import COPIED_AS_FFV1
from vsr.cli.terminal import echo
from vsr.views.progress import ProgressView
from vsr.views.text import printable

_ESCAPE = "\x1b]0;PWNED\x07\x9b2J\u202egpj\r"
IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")


def obeyed(text: str) -> set[str]:
    """Characters of a text that a terminal would not just show."""
    return {c for c in text if not c.isprintable() and c != "\n"}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A film with an escape sequence in its name, and in the title of its sound."""
    film = media.company(tmp_path / "film.mkv", frames=3)
    target = tmp_path / f"a{_ESCAPE}.mkv"
    with av.open(str(film)) as source, av.open(str(tmp_path / "out.mkv"), "w") as output:
        tracks = {
            s.index: output.add_stream_from_template(s)
            for s in source.streams
            if s.type in {"video", "audio"}
        }
        for track in tracks.values():
            track.metadata["title"] = f"{_ESCAPE}\nforged line"
        for packet in source.demux([source.streams[i] for i in tracks]):
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                output.mux(packet)
    film.unlink()
    return (tmp_path / "out.mkv").rename(target)


def test_no_command_prints_what_a_terminal_would_obey(here, hostile: Path, tmp_path: Path) -> None:
    """Case 87."""
    for given in (
        ("probe", hostile), ("plan", hostile, *IDENTITY), ("run", hostile, *IDENTITY), ("run", hostile, "-v", "--fresh", *IDENTITY),
        ("run", hostile, tmp_path / f"none{_ESCAPE}.mkv", *IDENTITY), ("clean", tmp_path), ("probe", tmp_path / f"none{_ESCAPE}.mkv"),
    ):  # fmt: skip
        outcome = here(*given)
        assert "PWNED" in outcome.out + outcome.err or given[0] == "clean"
        assert not obeyed(outcome.out), given
        assert not obeyed(outcome.err.replace("\r", "")), given
        assert not [
            line for line in (outcome.out + outcome.err).splitlines() if line.startswith("forged line")
        ]


def test_a_bar_shows_notes_and_labels_as_plain_text() -> None:
    """Case 87."""
    stream = io.StringIO()
    bar = ProgressView(stream, label=_ESCAPE)
    assert not obeyed(bar._label)
    bar.show(Note(_ESCAPE))
    bar.close()
    assert not obeyed(stream.getvalue())


def test_text_that_people_write_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("Amélie – 日本語 🎬.mkv", "עברית", "a\u200db"):
        assert printable(text) == text
    echo("one\ntwo")
    assert capsys.readouterr().out == "one\ntwo\n"
