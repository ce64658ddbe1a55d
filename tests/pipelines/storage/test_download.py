"""Downloads with a known hash, from a server on this machine that simulates typical faults."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.errors import MediaError, OutputError, ResourceError, UsageError
from pipelines.storage import download as module
from pipelines.storage.download import download, read_text
from tests.helpers.file_server import FileServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        served.files["/net.pth"] = CONTENT
        yield served


def fetched(
    server: FileServer,
    path: Path,
    *,
    host: str = "127.0.0.1",
    file: str = "/net.pth",
    size: int | None = len(CONTENT),
) -> list[int]:
    return list(download(server.address(file, host), path, sha256=SHA256, size=size))


def test_a_file_comes_whole_and_says_how_far_it_is(server: FileServer, tmp_path: Path) -> None:
    """Case 90: a file is fetched with its hash."""
    assert fetched(server, tmp_path / "net")[-1] == len(CONTENT)
    assert (tmp_path / "net").read_bytes() == CONTENT


@pytest.mark.parametrize("lengths", [True, False])
def test_a_download_that_breaks_off_half_way_goes_on_where_it_was(
    server: FileServer, tmp_path: Path, lengths: bool
) -> None:
    """Case 90."""
    server.breaks_after, server.lengths = [100_000, 50_000], lengths
    fetched(server, tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == CONTENT
    assert [r for _, r in server.asked] == ["", "bytes=100000-", "bytes=150000-"]


def test_what_an_earlier_call_left_is_gone_on_with(server: FileServer, tmp_path: Path) -> None:
    """Case 90."""
    server.breaks_after = [1000, 0, 0]
    with pytest.raises(
        ResourceError,
        match="the connection ended after 1000 of 300000 bytes; 0.0 MB are kept; run the same command again",
    ):
        fetched(server, tmp_path / "net")
    server.asked.clear()
    fetched(server, tmp_path / "net")
    assert server.asked == [("/net.pth", "bytes=1000-")]


def test_a_broken_download_restarts_if_the_server_has_no_range_requests(
    server: FileServer, tmp_path: Path
) -> None:
    server.breaks_after, server.ranges = [100_000], False
    fetched(server, tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"not of this file", CONTENT[:-1] + b"?", CONTENT + b"more"])
def test_what_is_left_of_another_file_is_fetched_anew(
    server: FileServer, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "net").write_bytes(left)
    fetched(server, tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == CONTENT


def test_a_file_of_another_hash_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    """Case 90."""
    server.files["/net.pth"] = CONTENT[:-1] + b"?"
    with pytest.raises(
        MediaError, match=f"its SHA-256 is [0-9a-f]{{64}}, not {SHA256}; another file lies there now"
    ):
        fetched(server, tmp_path / "net")
    assert not (tmp_path / "net").exists()
    assert len(server.asked) == 1


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT + b"more"])
def test_a_file_of_another_length_is_refused_before_it_is_fetched(
    server: FileServer, tmp_path: Path, content: bytes
) -> None:
    """Case 90."""
    server.files["/net.pth"] = content
    with pytest.raises(MediaError, match=f"is {len(content)} bytes long, not 300000"):
        fetched(server, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_a_server_that_does_not_say_the_length_is_stopped_at_the_promised_size(
    server: FileServer, tmp_path: Path
) -> None:
    """Case 90."""
    server.files["/net.pth"], server.lengths = CONTENT * 20, False
    seen = [0]
    with pytest.raises(MediaError, match="does not end after 300000 bytes"):
        for there in download(server.address("/net.pth"), tmp_path / "net", sha256=SHA256, size=len(CONTENT)):
            seen.append(there)  # noqa: PERF402 - what came before the error counts
    assert max(seen) <= len(CONTENT)
    assert not (tmp_path / "net").exists()


def test_without_a_promised_size_two_gigabytes_are_the_limit(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 200_000)
    with pytest.raises(MediaError, match="is larger than"):
        fetched(server, tmp_path / "net", size=None)
    server.lengths = False
    with pytest.raises(MediaError, match="does not end after 200000 bytes"):
        fetched(server, tmp_path / "net", size=None)


def test_a_redirection_to_another_host_is_followed_and_hashed(server: FileServer, tmp_path: Path) -> None:
    """Case 90: release pages redirect to another host."""
    server.redirects["/release"] = server.address("/net.pth", "localhost")
    fetched(server, tmp_path / "net", file="/release")
    assert (tmp_path / "net").read_bytes() == CONTENT
    server.files["/net.pth"] = bytes(len(CONTENT))
    with pytest.raises(MediaError, match="its SHA-256 is"):
        fetched(server, tmp_path / "other", file="/release")


@pytest.mark.parametrize(
    "place",
    ["file:///etc/passwd", "http://127.0.0.1:1/net.pth", "ftp://127.0.0.1/net.pth", "FILE:///etc/passwd"],
)
def test_a_redirection_to_anything_but_https_is_not_followed(
    server: FileServer, tmp_path: Path, place: str
) -> None:
    """Case 90."""
    server.redirects["/release"] = place
    with pytest.raises(
        ResourceError, match="leads on to .*, which is not an https address; it was not followed"
    ):
        fetched(server, tmp_path / "net", file="/release")
    assert not (tmp_path / "net").exists()


def test_redirections_in_a_circle_end(server: FileServer, tmp_path: Path) -> None:
    server.redirects["/release"] = server.address("/release")
    with pytest.raises(ResourceError):
        fetched(server, tmp_path / "net", file="/release")


def test_only_https_urls_are_requested(tmp_path: Path) -> None:
    for address in ("http://127.0.0.1/net.pth", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(UsageError, match="expected an https address"):
            list(download(address, tmp_path / "net", sha256=SHA256))
        with pytest.raises(UsageError, match="expected an https address"):
            read_text(address, most=10)


def test_a_certificate_that_nobody_signed_is_refused_with_what_to_set(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 90: SSL_CERT_FILE is honoured."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(
        ResourceError,
        match="its certificate can't be trusted .* let SSL_CERT_FILE name the company's certificates",
    ):
        fetched(server, tmp_path / "net")


def test_a_proxy_from_the_environment_is_used(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 90: nothing listens at the proxy's port, so nothing comes."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ResourceError, match="can't be fetched: Connection refused"):
        fetched(server, tmp_path / "net")
    assert not server.asked
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetched(server, tmp_path / "net")


def test_what_the_server_says_is_said(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the server says 404 Not Found"):
        fetched(server, tmp_path / "net", file="/gone.pth")


def test_a_folder_that_can_t_be_written_is_said(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        fetched(server, tmp_path / "no" / "folder" / "net")


def test_small_texts_are_read_up_to_their_limit(server: FileServer) -> None:
    server.files["/list.toml"] = "größe".encode()
    assert read_text(server.address("/list.toml"), most=10) == "größe"
    with pytest.raises(MediaError, match="is larger than"):
        read_text(server.address("/list.toml"), most=3)
    server.files["/list.toml"] = b"\xff"
    with pytest.raises(MediaError, match="is not UTF-8 text"):
        read_text(server.address("/list.toml"), most=10)
