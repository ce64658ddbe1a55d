"""Names, cards and files of networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.catalog import lookup
from models.catalog.card import INTERPOLATORS, Card
from models.catalog.loader import load_network
from models.catalog.lookup import cards, default_model, find_cards, network_names
from models.errors import MediaError, UsageError, VsrError
from tests.helpers.command import python


def test_the_classical_scalers_are_always_there() -> None:
    assert set(INTERPOLATORS) <= {c.name for c in cards()}
    assert (default_model(), default_model(on_gpu=True)) == ("fast", "quality")


def test_an_unknown_name_is_rejected_with_suggestions() -> None:
    with pytest.raises(UsageError, match=r"no such network; did you mean lanczos.*bicubic"):
        find_cards("lanc")
    with pytest.raises(UsageError, match=r"did you mean fast\?"):
        find_cards("fsat")
    with pytest.raises(UsageError, match=r"no such network\. There are"):
        find_cards("xyzzy")


def test_a_family_is_a_name_without_its_scale() -> None:
    assert Card("fast-x3", 3, "compact").family == "fast"
    assert Card("lanczos", 0, "interpolation").family == "lanczos"
    assert Card("my-xray", 2, "compact").family == "my-xray"


def saved(folder: Path, **changes: object) -> Path:
    """A compact network with a card."""
    from safetensors.torch import save_file

    from models.architectures.compact import Compact
    from models.catalog.card import sha256_of

    weights = folder / "tiny-x2.safetensors"
    save_file(Compact(scale=2, width=32, depth=1).state_dict(), weights)
    table = {"scale": 2, "sha256": sha256_of(weights), "depth": 1, **changes}
    (folder / "tiny-x2.toml").write_text(
        f'scale = {table["scale"]}\narchitecture = "compact"\nsha256 = "{table["sha256"]}"\n[settings]\nwidth = 32\ndepth = {table["depth"]}\n'
    )
    return weights


def test_a_network_with_its_card_is_loaded(tmp_path: Path) -> None:
    import torch

    (card,) = find_cards(str(saved(tmp_path)))
    network = load_network(card)
    luma, chroma = network.module((torch.rand(1, 1, 8, 8), torch.zeros(1, 2, 4, 4)))
    assert (luma.shape, chroma.shape) == ((1, 1, 16, 16), (1, 2, 8, 8))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"depth": 2}, "not those of compact"),
        ({"scale": 3}, "not those of compact"),
    ],
)
def test_weights_that_are_not_what_the_card_says_are_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(MediaError, match=words):
        load_network(find_cards(str(saved(tmp_path, **changes)))[0])


def test_a_torn_card_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.with_suffix(".toml").write_text("scale = ")
    with pytest.raises(UsageError, match="tiny-x2.toml"):
        find_cards(str(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match="no such file"):
        find_cards("/nowhere/x.pth")


def test_what_could_be_meant_by_a_missing_file_is_named(tmp_path: Path) -> None:
    def said(name: str) -> str:
        with pytest.raises(UsageError) as error:
            find_cards(str(tmp_path / name))
        return str(error.value)

    assert said("no/film.safetensors").endswith(f"no such file; there is no folder {tmp_path / 'no'}")
    assert said("film.pth").endswith(f"no such file; there are no weights in {tmp_path}")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoint.pt").touch()
    kept_none = f"a training in {tmp_path} kept no network; give the name of the one that it began with"
    assert said("film-x2.safetensors").endswith(f"no such file; {kept_none}")
    assert said(".").endswith(f"is a folder; {kept_none}")
    for number in range(7):
        (tmp_path / f"{number}.safetensors").touch()
    names = ", ".join(f"{number}.safetensors" for number in range(5))
    assert said("film-x2.safetensors").endswith(f"no such file; {tmp_path} has {names} and 2 more")


def test_a_file_may_have_commas_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a,b, c.pth"
    file.touch()
    assert network_names(f" fast-x2,{file} , lanczos") == ["fast-x2", str(file), "lanczos"]
    assert network_names(str(file)) == [str(file)]
    file.unlink()
    assert network_names(str(file)) == [f"{tmp_path}/a", "b", "c.pth"]
    assert network_names("") == [""]


def test_a_file_whose_reader_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader runs code of torch and onnx on untrusted bytes."""
    file = tmp_path / "net.pth"
    file.touch()
    monkeypatch.setattr(lookup, "_SECONDS", 0.01)
    with pytest.raises(MediaError, match="reading it takes too long"):
        lookup.read_third_party(file)


def test_cards_are_read_without_torch() -> None:
    program = "import sys; from models.catalog.lookup import cards, find_cards; cards(); find_cards('lanczos'); print('torch' in sys.modules)"
    done = python(program, seconds=60)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "kind", VsrError.__subclasses__() + [k for b in VsrError.__subclasses__() for k in b.__subclasses__()]
)
def test_errors_survive_the_way_between_processes(kind: type[VsrError]) -> None:
    import pickle

    found = pickle.loads(pickle.dumps(kind("what was found; what to do")))
    assert (type(found), str(found), found.exit_code) == (kind, "what was found; what to do", kind.exit_code)
