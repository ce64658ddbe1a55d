"""Malicious weights files are refused because of their header. Cases 77, 78."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.catalog.card import TRAINED
from models.catalog.loader import load_network
from models.catalog.lookup import cards, find_cards
from models.catalog.safetensors_header import tensor_shapes
from models.errors import MediaError


def _file(path: Path, header: dict[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def _tensor(shape: list[int], stop: int, start: int = 0, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def test_shapes_are_those_of_the_file() -> None:
    (shipped, *_) = sorted(TRAINED.glob("*.safetensors"))
    from safetensors import safe_open

    with safe_open(shipped, "pt") as file:  # type: ignore[no-untyped-call]
        names = list(file.keys())
        assert tensor_shapes(shipped) == {name: tuple(file.get_slice(name).get_shape()) for name in names}


@pytest.mark.parametrize(
    ("header", "data", "length"),
    [
        ({}, b"", 2**63),
        ({}, b"", 2**40),
        (b"{" * 100_000, b"", None),
        (b"[]", b"", None),
        ({"w": _tensor([2**31, 2**31], 2**64)}, bytes(16), None),
        ({"w": _tensor([2**20], 16)}, bytes(16), None),
        ({"w": _tensor([-4], 16)}, bytes(16), None),
        ({"w": _tensor([4], 16, dtype="X9")}, bytes(16), None),
        ({"w": _tensor([4], 16), "v": _tensor([4], 24, start=8)}, bytes(24), None),
        ({"w": _tensor([4], 16)}, bytes(1 << 16), None),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(
    tmp_path: Path, header: Any, data: bytes, length: int | None
) -> None:
    """Case 78: a header longer than the file, shapes that need more than is there, tensors on top of each
    other; exit 3.
    """
    with pytest.raises(MediaError, match=r"bomb\.safetensors: ") as raised:
        tensor_shapes(_file(tmp_path / "bomb.safetensors", header, data, length))
    assert raised.value.exit_code == 3


def _fast() -> Any:
    return next(c for c in cards() if c.family == "fast")


def test_a_card_that_asks_for_another_network_than_the_file_holds_costs_nothing(tmp_path: Path) -> None:
    """Case 78: shapes are compared with the card's before either is allocated.

    This one would take terabytes.
    """
    card = _fast()
    names = [n for n, v in card.settings.items() if isinstance(v, int) and not isinstance(v, bool)]
    assert names
    for huge in (2048, 10**9):
        with pytest.raises(MediaError, match="its tensors are not those of|expected at most"):
            load_network(replace(card, settings={**card.settings, names[-1]: huge}))


def test_weights_of_another_hash_than_the_card_s_are_not_loaded(tmp_path: Path) -> None:
    """Case 77: SHA-256 is compared before loading; exit 3."""
    card = _fast()
    copy = tmp_path / Path(card.path).name
    shutil.copy(card.path, copy)
    shutil.copy(Path(card.path).with_suffix(".toml"), copy.with_suffix(".toml"))
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(MediaError, match="SHA-256") as raised:
        find_cards(str(copy))
    assert raised.value.exit_code == 3
    with pytest.raises(MediaError, match="SHA-256"):
        load_network(replace(card, path=str(copy)))


def test_a_file_with_the_name_of_a_network_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 77: pickles are opened only where they are named as files, by path or ending."""
    monkeypatch.chdir(tmp_path)
    for name in ("fast", "lanczos", "fast-x2"):
        (tmp_path / name).write_bytes(b"a pickle")
        assert all(c.architecture != "foreign" for c in find_cards(name))
