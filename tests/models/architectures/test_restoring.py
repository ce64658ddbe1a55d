from __future__ import annotations

import pytest
import torch

from models.architectures.compact import Compact
from models.architectures.restoring import Restoring, at_level
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.network import Planes


def network(*, crisp: bool = False) -> Restoring:
    """Small, with other weights everywhere."""
    torch.manual_seed(0)
    made = Restoring(scale=2, width=8, depth=2, crisp=crisp)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


def planes(count: int = 1) -> Planes:
    torch.manual_seed(1)
    return torch.rand(count, 1, 16, 24), torch.rand(count, 2, 8, 12) - 0.5


def equal(a: Planes, b: Planes) -> bool:
    return all(torch.allclose(x, y, atol=1e-5) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("level", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_plain_network_at_a_level_gives_what_training_sees_there(level: float) -> None:
    whole = network()
    with torch.inference_mode():
        assert equal(whole.at(level)(planes()), whole(planes(), torch.tensor([level])))


@pytest.mark.parametrize(("level", "knot"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_at_its_own_levels_it_has_exactly_the_weights_of_that_level(level: float, knot: int) -> None:
    whole = network()
    found, wanted = whole.at(level).state_dict(), whole.knots[knot].state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_parts_of_a_batch_have_levels_of_their_own() -> None:
    whole, both = network(), planes(4)
    with torch.inference_mode():
        luma, _ = whole(both, torch.tensor([0.1, 0.8]))
        first, _ = whole.at(0.1)((both[0][:2], both[1][:2]))
        second, _ = whole.at(0.8)((both[0][2:], both[1][2:]))
    assert torch.allclose(luma, torch.cat([first, second]), atol=1e-5)


def test_detail_leads_from_the_faithful_weights_to_the_crisp_ones() -> None:
    whole = network(crisp=True)
    assert whole.crisp is not None
    faithful, half, crisp = (whole.at(0.5, detail).state_dict()["head.weight"] for detail in (0.0, 0.5, 1.0))
    assert torch.equal(faithful, whole.knots[1].head.weight)  # type: ignore[arg-type]
    assert torch.equal(crisp, whole.crisp[1].head.weight)  # type: ignore[arg-type]
    assert torch.allclose(half, (faithful + crisp) / 2, atol=1e-6)


def test_with_a_crisp_set_that_one_is_trained_and_judged() -> None:
    whole = network(crisp=True)
    with torch.inference_mode():
        trained = whole(planes(), torch.tensor([0.3]))
        assert equal(trained, whole.at(0.3, 1.0)(planes()))
        assert equal(trained, at_level(whole, 0.3)(planes()))


def test_it_begins_as_the_plain_network_it_is_given_at_every_level() -> None:
    plain = Compact(scale=2, width=8, depth=2)
    torch.nn.init.normal_(plain.tail.weight)
    whole = Restoring(scale=2, width=8, depth=2, crisp=True)
    weights = whole.begun_from(plain.state_dict())
    assert weights.keys() == whole.state_dict().keys()
    whole.load_state_dict(weights)
    with torch.inference_mode():
        assert all(
            equal(whole.at(level, detail)(planes()), plain(planes()))
            for level in (0.0, 0.7)
            for detail in (0.0, 1.0)
        )


def test_of_another_scale_it_takes_what_was_learned_beyond_level_0() -> None:
    """All layers but the last, which is of the scale; level 0 stays."""
    learned, plain = network(crisp=True), Compact(scale=3, width=8, depth=2)
    whole = Restoring(scale=3, width=8, depth=2, levels=(0.0, 0.25, 1.0), crisp=True)
    begun = whole.begun_from(plain.state_dict())
    found = whole.changed_as(begun, learned)
    weights, start = plain.state_dict(), learned.at(0.0).state_dict()
    assert found.keys() == begun.keys()
    for kind, knot, level in (
        ("knots", 0, 0.0),
        ("knots", 1, 0.25),
        ("knots", 2, 1.0),
        ("crisp", 0, 0.0),
        ("crisp", 1, 0.25),
    ):
        end = learned.at(level, kind == "crisp").state_dict()
        for layer in ("head.bias", "body.1.weight"):
            assert torch.equal(found[f"{kind}.{knot}.{layer}"], weights[layer] + (end[layer] - start[layer]))
        assert torch.equal(found[f"{kind}.{knot}.tail.weight"], weights["tail.weight"])
    assert torch.equal(found["knots.0.head.weight"], weights["head.weight"])


@pytest.mark.parametrize("levels", [(0.0,), (0.5, 1.0), (0.0, 0.9), (0.0, 0.6, 0.6, 1.0)])
def test_levels_that_do_not_span_the_range_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(TypeError, match="ascend from 0 to 1"):
        Restoring(scale=2, width=8, depth=2, levels=levels)


@pytest.mark.parametrize(
    ("restoring", "clean"),
    [
        ("real-x2", "quality-x2"),
        ("real-fast-x2", "fast-x2"),
        ("real-x3", "quality-x3"),
        ("real-fast-x3", "fast-x3"),
    ],
)
def test_at_level_0_the_shipped_networks_are_those_for_clean_sources(restoring: str, clean: str) -> None:
    found, wanted = (load_network(find_cards(name)[0], restore=0.0).module for name in (restoring, clean))
    tensors = found.state_dict(), wanted.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[1])
