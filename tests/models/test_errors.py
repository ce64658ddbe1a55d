"""What errors say, and what they never do. Case 80."""

from __future__ import annotations

import pickle

import pytest

from models.errors import MediaError, redacted
from tests.helpers.command import vsr


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://me:pa55@host/film.mp4: can't be read", "https://***@host/film.mp4: can't be read"),
        ("https:/me:pa55@host/film.mp4", "https:/***@host/film.mp4"),
        ("s3://b/x?X-Amz-Signature=0a1b&list=2", "s3://b/x?X-Amz-Signature=***&list=***"),
        ("https://h/w?download=1&access_token=abc; give it", "https://h/w?download=***&access_token=***; give it"),
        ("https://me:p@ss@host/a@b.mp4", "https://***@host/a@b.mp4"),
        ("https://h/w?sv=2&pw=a@b#t=1", "https://h/w?sv=***&pw=***#t=***"),
        ("https://me:p@s?s@host/w", "https://***@host/w"),
        ("from s3://k:s@b/x to https://h/y?z=1, and", "from s3://***@b/x to https://h/y?z=*** and"),
        ("/films/a?b=1&c=2.mp4: is empty", "/films/a?b=1&c=2.mp4: is empty"),
        ("/films/me@home/a:b.mp4: is empty", "/films/me@home/a:b.mp4: is empty"),
    ],
)
def test_logins_and_signatures_in_addresses_are_left_out(said: str, shown: str) -> None:
    """Case 80: every error passes through this, wherever it is shown or written."""
    assert str(MediaError(said)) == shown
    assert str(pickle.loads(pickle.dumps(MediaError(said)))) == shown


def test_values_of_secret_variables_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 80."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("EDITOR", "editor-of-films")
    assert redacted("joined with 0123456789abcdef by editor-of-films") == "joined with *** by editor-of-films"


def test_the_command_shows_no_login() -> None:
    """Case 80: neither where an address is given as a film, nor with --json."""
    for more in ([], ["--json"]):
        done = vsr("probe", "https://me:pa55word@127.0.0.1:9/film.mp4", *more)
        assert done.code == 3
        assert "pa55word" not in done.out + done.err
