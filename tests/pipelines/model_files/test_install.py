"""Networks of an index, fetched from a server on this machine.

Real checkpoints made by code, and what servers and people do to them.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from models.catalog.card import user_folder
from models.catalog.lookup import find_cards
from models.catalog.model_index import IndexEntry
from models.errors import MediaError, OutputError, ResourceError, UsageError
from pipelines.model_files.index_list import read_index
from pipelines.model_files.install import Fetched, Fetching, download_folder, fetch, install_model
from tests.helpers.file_server import FileServer, serving
from tests.helpers.inline import without_sandbox
from tests.models.catalog.index_networks import tiny

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "net.pth"
    torch.save({"params": tiny("Compact", 2).state_dict()}, path)
    return path.read_bytes()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes) -> Iterator[FileServer]:
    without_sandbox(monkeypatch)
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "data"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        served.files["/releases/House-Style.pth"] = weights
        yield served


def entry_for(
    server: FileServer, data: bytes, path: str = "/releases/House-Style.pth", **changes: object
) -> IndexEntry:
    entry = IndexEntry(
        name="House-Style", scale=2, architecture="Compact", purposes=("film",), description="Ours.", author="us", licence="CC-BY-NC-4.0", commercial="no",
        url=server.address(path), sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), gflop_per_megapixel=3.0,
    )  # fmt: skip
    return replace(entry, **changes)  # type: ignore[arg-type]


def got(entry: IndexEntry) -> Fetched:
    *_, last = fetch(entry)
    assert isinstance(last, Fetched)
    return last


def left() -> set[str]:
    """What lies in the user's folder."""
    return {
        p.relative_to(user_folder()).as_posix()
        for p in user_folder().rglob("*")
        if p.is_file() and p.suffix != ".lock"
    }


def test_a_fetched_network_is_found_by_its_name_with_licence_and_source(
    server: FileServer, weights: bytes
) -> None:
    """Case 90: kept as safetensors, with a card that has the licence; the second time nothing is fetched."""
    entry = entry_for(server, weights)
    first = got(entry)
    assert first.new
    (card,) = find_cards("House-Style")
    assert (card.scale, card.licence, card.commercial, card.more["source"]) == (
        2,
        "CC-BY-NC-4.0",
        "no",
        entry.url,
    )
    assert left() == {"House-Style.safetensors", "House-Style.toml"}
    server.asked.clear()
    assert not got(entry).new
    assert not server.asked


def test_a_download_that_broke_off_is_gone_on_with_by_the_next_call(
    server: FileServer, weights: bytes
) -> None:
    """Case 90."""
    entry = entry_for(server, weights)
    server.breaks_after = [1000, 0, 0]
    with pytest.raises(
        ResourceError,
        match="run the same command again to continue; or bring the file from a machine that reaches it, put it here as",
    ):
        got(entry)
    assert left() == {f"downloads/{entry.sha256}.part"}
    server.asked.clear()
    got(entry)
    assert server.asked == [("/releases/House-Style.pth", "bytes=1000-")]
    assert left() == {"House-Style.safetensors", "House-Style.toml"}


@pytest.mark.parametrize("change", ["hash", "length"])
def test_another_file_at_the_address_is_not_kept(server: FileServer, weights: bytes, change: str) -> None:
    """Case 90."""
    server.files["/releases/House-Style.pth"] = (
        weights[:-1] + bytes([weights[-1] ^ 1]) if change == "hash" else weights + b"!"
    )
    with pytest.raises(MediaError, match="its SHA-256 is" if change == "hash" else "bytes long, not"):
        got(entry_for(server, weights))
    assert left() == set()


def test_a_file_that_is_no_network_is_not_kept(server: FileServer) -> None:
    """Case 90: even where its hash is what the list says."""
    data = b"no network at all"
    server.files["/releases/House-Style.pth"] = data
    with pytest.raises(MediaError, match="is not a network we can load"):
        got(entry_for(server, data))
    assert left() == set()


def test_a_list_that_is_wrong_about_the_factor_is_told_so(server: FileServer, weights: bytes) -> None:
    with pytest.raises(MediaError, match="the list says x4, the file is x2"):
        got(entry_for(server, weights, scale=4))
    assert left() == set()


def test_several_calls_at_once_fetch_it_once(server: FileServer, weights: bytes) -> None:
    """Case 90: the second waits for the first, and finds it there."""
    entry = entry_for(server, weights)
    first = fetch(entry)
    assert isinstance(next(first), Fetching)  # holds the lock, and has begun
    events: list[object] = []
    other = threading.Thread(target=lambda: events.extend(fetch(entry)))
    other.start()
    while not events:
        pass
    assert isinstance(events[0], Fetching)
    assert events[0].waiting
    *_, last = first
    other.join(60)
    assert isinstance(last, Fetched)
    assert last.new
    assert isinstance(events[-1], Fetched)
    assert not events[-1].new
    assert len(server.asked) == 1


def test_without_network_a_file_put_there_by_hand_is_taken(
    server: FileServer, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 90: the message says where; a wrong file is named."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    entry = entry_for(server, weights)
    place = download_folder() / "House-Style.pth"
    with pytest.raises(ResourceError, match=f"put it here as {place}, and give the command again"):
        got(entry)
    place.write_bytes(b"another file")
    with pytest.raises(
        MediaError, match="is not the file of House-Style: its SHA-256 is .*; replace or remove it"
    ):
        got(entry)
    place.write_bytes(weights)
    assert got(entry).new
    assert not server.asked


def test_names_that_are_taken_are_refused(server: FileServer, weights: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is the name of a network that comes with vsr"):
        got(entry_for(server, weights, name="fast"))
    (tmp_path / "mine.pth").write_bytes(weights)
    install_model(str(tmp_path / "mine.pth"), name="House-Style")
    with pytest.raises(UsageError, match="there is another network of this name"):
        got(entry_for(server, weights, name="House-Style-x2", sha256="0" * 64))


def test_a_disk_that_takes_nothing_is_said(
    server: FileServer, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="can't be written"):
        got(entry_for(server, weights))


def test_a_list_of_ones_own_comes_from_a_file_or_an_address(server: FileServer, tmp_path: Path) -> None:
    text = (
        '[House-Style]\nscale = 2\narchitecture = "Compact"\npurposes = ["film"]\ndescription = "Ours."\nauthor = "us"\nlicence = ""\ncommercial = "unknown"\n'
        f'url = "https://example.invalid/House-Style.pth"\nsha256 = "{"0" * 64}"\nbytes = 1000\ngflop_per_megapixel = 10\n'
    )
    (tmp_path / "list.toml").write_text(text)
    server.files["/list.toml"] = text.encode()
    (from_file,) = read_index(str(tmp_path / "list.toml"))
    assert read_index(server.address("/list.toml")) == (from_file,)
    assert from_file.terms == "no licence stated, commercial use not stated"
    with pytest.raises(UsageError, match="no-list.toml: can't be read"):
        read_index(str(tmp_path / "no-list.toml"))
    with pytest.raises(UsageError, match="expected an https address"):
        read_index("http://example.invalid/list.toml")


def test_weights_from_an_address_need_their_hash(server: FileServer, weights: bytes) -> None:
    """Case 90: the same code as for the index."""
    address = server.address("/releases/House-Style.pth")
    with pytest.raises(UsageError, match="give --sha256"):
        install_model(address)
    with pytest.raises(MediaError, match="its SHA-256 is"):
        install_model(address, sha256="0" * 64)
    card = install_model(
        address, sha256=hashlib.sha256(weights).hexdigest(), facts={"licence": "MIT", "commercial": "yes"}
    )
    assert (card.name, card.licence, card.commercial) == ("House-Style-x2", "MIT", "yes")


def test_a_real_checkpoint_of_others_goes_the_same_way(server: FileServer, shared_data: Path) -> None:
    data = (shared_data / "weights" / "srvgg_realesr" / "realesr-animevideov3.pth").read_bytes()
    server.files["/v3.pth"] = data
    card = got(entry_for(server, data, "/v3.pth", name="v3", scale=4)).card
    assert card.gflop_per_megapixel == pytest.approx(1238.4, rel=0.01)
    assert card.parameters == 621424
