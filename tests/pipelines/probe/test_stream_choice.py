"""What a file says of its tracks, and FFmpeg does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.probe.probe import probe
from tests import media
from tests.helpers.matroska_chapters import element

_OLD, _NEW = bytes.fromhex("22b59c"), bytes.fromhex("22b59d")


@pytest.mark.parametrize(
    ("old", "new", "becomes"),
    [("por", "pt-BR", "por"), ("", "zh-Hant", "eng"), ("", "de", "eng"), ("ger", "de", ""), ("ger", "", "")],
)
def test_a_language_that_ffmpeg_does_not_read_is_reported(
    tmp_path: Path, old: str, new: str, becomes: str
) -> None:
    """Case 25: mkvmerge writes both elements."""
    source = media.write(
        tmp_path / "in.mkv", media.Film(frames=8), audio=(media.Audio(seconds=0.3, language="x" * 60),)
    )
    data = source.read_bytes()
    at = data.index(_OLD + b"\xbc" + b"x" * 60)
    made = b"".join(
        element(int.from_bytes(name, "big"), text.encode())
        for name, text in ((_OLD, old), (_NEW, new))
        if text
    )
    filler = b"\xec" + bytes([0x80 | 62 - len(made)]) + bytes(62 - len(made))
    source.write_bytes(data[:at] + made + filler + data[at + 64 :])
    found = [note for note in probe(source).notes if "BCP 47" in note]
    expected = f"audio stream 1: its language {new} becomes {becomes}, as FFmpeg reads no BCP 47 tags"
    assert found == ([expected] if becomes else [])
