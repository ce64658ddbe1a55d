"""Matroska chapters: a note names what FFmpeg does not read, and nothing that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.file_parsing import matroska_chapters
from pipelines.file_parsing.matroska import CLUSTER, EBML
from pipelines.file_parsing.matroska_chapters import lost_chapters
from tests import media
from tests.helpers.matroska_chapters import atom, display, edition, element, with_chapters


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize(
    ("editions", "said"),
    [
        ([edition(atom(0), atom(1))], []),
        ([edition(atom(0), atom(1), ordered=1)], ["order of play"]),
        (
            [edition(atom(0), atom(1, element(0x6E67, b"7" * 16)))],
            ["1 of its chapters take from other files"],
        ),
        ([edition(atom(0)), edition(atom(1))], ["2 editions"]),
        ([edition(atom(0, atom(1)))], ["chapters within chapters"]),
        ([edition(atom(0, display("Teil", "ger")))], ["further languages"]),
        ([edition(atom(0, element(0x6944, element(0x6955, 1))))], ["DVD menus"]),
    ],
)
def test_what_ffmpeg_does_not_read_of_chapters_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editions: list[bytes], said: list[str], at_the_end: bool
) -> None:
    monkeypatch.setattr(matroska_chapters, "_MOST_BYTES", 6000)  # less than the pictures
    found = lost_chapters(with_chapters(tmp_path / "a.mkv", *editions, at_the_end=at_the_end))
    assert len(found) == len(said), found
    for text, words in zip(found, said, strict=True):
        assert words in text


def test_a_link_to_the_next_file_is_said(tmp_path: Path) -> None:
    path = media.write(tmp_path / "a.mkv", media.Film(frames=3))
    data = path.read_bytes()
    assert lost_chapters(path) == []
    # the muxer's name takes the place of the link
    begin = data.index(bytes.fromhex("4d80"))
    size = data[begin + 2] & 127
    link = bytes.fromhex("3eb923") + bytes([0x80 | size - 1]) + b"7" * (size - 1)
    path.write_bytes(data[:begin] + link + data[begin + 3 + size :])
    assert "comes before or behind" in lost_chapters(path)[0]


def test_files_cut_anywhere_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = with_chapters(tmp_path / "a.mkv", edition(atom(0), ordered=1), edition(atom(1)))
    data = path.read_bytes()
    for end in range(0, 3000, 7):
        path.write_bytes(data[:end])
        assert isinstance(lost_chapters(path), list)
    assert EBML.to_bytes(4, "big") == data[:4]
    assert CLUSTER.to_bytes(4, "big") in data
