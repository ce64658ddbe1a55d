"""Error messages: what they contain, and what they never contain. Case 80."""

from __future__ import annotations

import ast
import pickle
import tomllib

import pytest

from models.errors import DISTRIBUTION, MediaError, counted, missing_package, redacted
from tests.helpers.command import ROOT, vsr


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://me:pa55@host/film.mp4: can't be read", "https://***@host/film.mp4: can't be read"),
        ("https:/me:pa55@host/film.mp4", "https:/***@host/film.mp4"),
        ("s3://b/x?X-Amz-Signature=0a1b&list=2", "s3://b/x?X-Amz-Signature=***&list=***"),
        (
            "https://h/w?download=1&access_token=abc; give it",
            "https://h/w?download=***&access_token=***; give it",
        ),
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
        assert done.code == 2
        assert "pa55word" not in done.out + done.err


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    error = missing_package("SSIM", "torchmetrics", "train", instead="or choose others with --metric")
    assert (
        str(error)
        == "SSIM needs the package torchmetrics: pip install 'vsr-upscale[train]'; or choose others with --metric"
    )
    assert error.exit_code == 2


def test_the_name_pip_is_given_and_its_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    calls = [
        node
        for package in ("models", "pipelines", "vsr")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "missing_package"
    ]
    asked = {ast.literal_eval(call.args[2]) for call in calls}
    assert len(asked) >= 3
    assert asked <= set(project["optional-dependencies"])


def test_one_is_not_a_plural() -> None:
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
