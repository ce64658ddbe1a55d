from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from models.architectures.compact import Compact
from models.catalog.card import read_card
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import Interrupted, MediaError, UsageError
from models.layers.int8 import INTEGERS
from pipelines.datasets.batch_loader import BatchLoader, BatchSettings
from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.damage import Damage, level_of_damage
from pipelines.datasets.degradation import DegradeSettings
from pipelines.datasets.settings import DatasetSettings
from pipelines.datasets.shards import Pair, Shards, ShardWriter
from pipelines.frames.reference_upscaler import classical, upscale, window
from pipelines.frames.sample_values import from_values, to_values
from pipelines.model_files.card_writer import NetworkFacts, export, gflop_per_megapixel, to_toml
from pipelines.model_files.install import install_model
from pipelines.objectives.settings import ObjectiveSettings, OptimizerSettings, TrainSettings, learning_rate
from pipelines.plan.events import Note
from pipelines.settings.settings_file import read_settings
from pipelines.training.fine_tuning import FineTuningResult, tune
from pipelines.training.train import train
from pipelines.training.trainer import Trainer
from pipelines.training.training_events import Stepped, Stepping, Trained, Validated
from pipelines.training.validation import Validation
from tests.helpers.footage import clip, film, pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = TrainSettings(
    "tiny-x2", 2, network={"width": 32, "depth": 1}, steps=12, validate_every=6, validation_pairs=4, threads=1, precision="fp32",
    batch=BatchSettings(pairs=4, truth_px=32), optimizer=OptimizerSettings(warmup_steps=2),
)  # fmt: skip
CONFIGS = Path(__file__).parents[3] / "configs" / "train"


@pytest.fixture(autouse=True)
def threads() -> Any:
    """Training sets the number of threads; the other tests keep theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_training_learns_what_its_pairs_teach(tmp_path: Path) -> None:
    """Pairs whose truth is eight codes brighter than their input.

    A bias to be learned, and to hold on pairs not seen.
    """
    manifest: dict[str, Any] = {"format": "vsr-pairs-1", "settings": {"scale": 2}, "shards": []}
    for split, seeds in (("train", range(6)), ("validation", range(10, 13))):
        with ShardWriter(tmp_path, split, 1 << 20) as writer:
            for seed in seeds:
                low = clip(1, 32, 32, seed=seed)
                luma, chroma = classical(to_values(low), 2, "lanczos")
                truth = from_values((luma + 8 / 219, chroma), 8)
                writer.add(
                    Pair(f"{split}{seed}", low, truth, {"degradation": {"stages": [{"kernel": "bicubic"}]}})
                )
        manifest["shards"] += [{**shard, "split": split} for shard in writer.shards]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    settings = replace(
        TINY,
        steps=60,
        validate_every=30,
        ema_decay=0.8,
        optimizer=OptimizerSettings(learning_rate=5e-3, warmup_steps=5),
    )
    events = list(train(settings, [tmp_path], tmp_path / "run"))
    last = events[-1]
    assert isinstance(last, Trained)
    assert last.scores["gain"] > 3
    assert [e.step for e in events if isinstance(e, Stepped)] == [60]
    assert next(e.step for e in events if isinstance(e, Stepping)) == 1
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {
        "checkpoint.pt",
        "curve.png",
        "log.jsonl",
        "samples.png",
        "tiny-x2.safetensors",
        "tiny-x2.toml",
    }


def test_a_run_stopped_and_resumed_ends_with_the_same_bits(pairs: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    list(train(TINY, [pairs], whole))
    count = itertools.count(1)
    with pytest.raises(Interrupted, match="step 5 of 12"):
        list(train(TINY, [pairs], cut, stop=lambda: next(count) == 5))
    assert not (cut / "tiny-x2.safetensors").exists()
    list(train(TINY, [pairs], cut, resume=True))
    assert (cut / "tiny-x2.safetensors").read_bytes() == (whole / "tiny-x2.safetensors").read_bytes()
    states = [torch.load(f / "checkpoint.pt", weights_only=True) for f in (whole, cut)]
    for part in ("network", "average", "best"):
        assert all(torch.equal(states[0][part][k], states[1][part][k]) for k in states[0][part])


def test_a_run_that_is_stopped_leaves_its_best_network_so_far(pairs: Path, tmp_path: Path) -> None:
    running = train(TINY, [pairs], tmp_path, stop=(tmp_path / "tiny-x2.toml").exists)
    judged = next(event for event in running if isinstance(event, Validated))
    with pytest.raises(Interrupted):
        list(running)
    card = find_cards(str(tmp_path / "tiny-x2.safetensors"))[0]
    assert card.more["training"]["best_step"] == judged.step < TINY.steps
    assert load_network(card).contract.scale == 2


def test_minutes_become_steps(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ticking(monkeypatch, itertools.repeat(0.2))
    last = list(train(TINY, [pairs], tmp_path, minutes=0.1))[-1]
    assert isinstance(last, Trained)
    assert find_cards(last.weights)[0].more["training"]["steps"] == 30
    with pytest.raises(UsageError, match="with --cluster give --set steps=N"):
        list(train(TINY, [pairs], tmp_path / "other", minutes=0.1, cluster="local"))


def test_minutes_go_on_with_the_steps_they_were_when_training_began(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ticking(monkeypatch, itertools.repeat(0.2))
    count = itertools.count(1)
    with pytest.raises(Interrupted, match="step 5 of 30"):
        list(train(TINY, [pairs], tmp_path, minutes=0.1, stop=lambda: next(count) == 5))
    with pytest.raises(UsageError, match="this folder holds a training; give --resume to continue it"):
        list(train(TINY, [pairs], tmp_path, minutes=0.1))
    last = list(train(TINY, [pairs], tmp_path, minutes=0.1, resume=True))[-1]
    card = find_cards(last.weights)[0].more["training"]
    assert (card["steps"], card["minutes"], "lengths" in card) == (30, 0.1, False)
    # as the settings have the same steps, the minutes hold that it began with
    assert _parts(list(train(TINY, [pairs], tmp_path, resume=True))[-1]) == [[0, 30]]


def _ticking(monkeypatch: pytest.MonkeyPatch, costs: Iterator[float], first: float = 0.2) -> None:
    """A clock that only steps advance, by these seconds each; the first estimate takes one for `first`."""
    clock, step = [0.0], Trainer.step

    def tick(self: Trainer, batch: Any) -> Any:
        clock[0] += next(costs)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", tick)
    monkeypatch.setattr("pipelines.training.trainer.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("pipelines.training.train.seconds_a_step", lambda *_: first)


def _parts(done: Any) -> list[list[int]]:
    content = torch.load(Path(done.weights).parent / "checkpoint.pt", weights_only=True)
    parts: list[list[int]] = content["length"]["parts"]
    return parts


@pytest.mark.parametrize(("first", "then"), [(1.0, 0.1), (0.05, 0.2)], ids=["slow", "fast"])
def test_the_minutes_are_used_up_whatever_the_first_estimate_was(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: float, then: float
) -> None:
    """The first estimate, made while the machine was busy or idle, is not kept to the end."""
    minutes = 0.2
    _ticking(monkeypatch, itertools.chain([first] * 3, itertools.repeat(then)), first)
    done = list(train(TINY, [pairs], tmp_path, minutes=minutes))[-1]
    assert done.seconds == pytest.approx(minutes * 60, rel=0.06)
    card = find_cards(done.weights)[0].more["training"]
    assert card["lengths"] == _parts(done)
    assert card["lengths"][0] == [0, round(minutes * 60 / first) if first < 0.6 else 20]
    assert card["steps"] == card["lengths"][-1][1] > 20
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [[line["step"], line["steps"]] for line in logged if "steps" in line] == card["lengths"][1:]


def test_a_training_that_ended_goes_on_with_more_minutes(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ticking(monkeypatch, itertools.repeat(0.2))
    list(train(TINY, [pairs], tmp_path, minutes=0.1))
    events = list(train(TINY, [pairs], tmp_path, minutes=0.2, resume=True))
    assert any("goes on after step 30 of 30" in e.text for e in events if isinstance(e, Note))
    assert not any("has ended" in e.text for e in events if isinstance(e, Note))
    again = list(train(TINY, [pairs], tmp_path, minutes=0.2, resume=True))
    assert any("has ended; more --minutes" in e.text for e in again if isinstance(e, Note))
    assert _parts(events[-1]) == [[0, 30], [30, 60]]
    assert events[-1].seconds == pytest.approx(12.0)
    with pytest.raises(UsageError, match=r"for 0\.2 min already.*--minutes 1$"):
        list(train(TINY, [pairs], tmp_path, minutes=0.15, resume=True))


def test_more_steps_go_on_with_the_same_bits_however_often_it_is_stopped(pairs: Path, tmp_path: Path) -> None:
    longer = replace(TINY, steps=20)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        list(train(TINY, [pairs], folder))
    done = list(train(longer, [pairs], whole, resume=True))[-1]
    count = itertools.count(1)
    with pytest.raises(Interrupted, match="step 15 of 20"):
        list(train(longer, [pairs], cut, resume=True, stop=lambda: next(count) == 3))
    list(train(longer, [pairs], cut, resume=True))
    states = [torch.load(f / "checkpoint.pt", weights_only=True) for f in (whole, cut)]
    for part in ("network", "average", "best"):
        assert all(torch.equal(states[0][part][k], states[1][part][k]) for k in states[0][part])
    assert [s["length"]["parts"] for s in states] == [[[0, 12], [12, 20]]] * 2
    assert find_cards(done.weights)[0].more["training"]["lengths"] == [[0, 12], [12, 20]]
    logs = [[json.loads(line) for line in (f / "log.jsonl").read_text().splitlines()] for f in (whole, cut)]
    for log in logs:
        assert [line for line in log if "steps" in line] == [{"step": 12, "steps": 20}]
    with pytest.raises(UsageError, match=r"20 steps are done already.*--set steps=40"):
        list(train(replace(TINY, steps=16), [pairs], cut, resume=True))


def test_checkpoints_from_before_lengths_were_kept_go_on(pairs: Path, tmp_path: Path) -> None:
    list(train(TINY, [pairs], tmp_path))
    path = tmp_path / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    del content["length"]
    run = Trainer(TINY, [pairs], tmp_path, torch.device("cpu"))
    torch.save({**content, "identity": run._earlier_identity}, path)
    done = list(train(TINY, [pairs], tmp_path, resume=True))[-1]
    assert done.step == content["numbers"]["best_step"]


def test_another_seed_makes_other_weights(pairs: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        list(train(replace(TINY, seed=seed), [pairs], tmp_path / str(seed)))
    assert (tmp_path / "0" / "tiny-x2.safetensors").read_bytes() != (
        tmp_path / "1" / "tiny-x2.safetensors"
    ).read_bytes()


def test_a_begun_folder_is_neither_overwritten_nor_mixed(pairs: Path, tmp_path: Path) -> None:
    list(train(TINY, [pairs], tmp_path))
    with pytest.raises(UsageError, match="--resume"):
        list(train(TINY, [pairs], tmp_path))
    with pytest.raises(MediaError, match="other settings"):
        list(train(replace(TINY, seed=24), [pairs], tmp_path, resume=True))
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(MediaError, match="is not a checkpoint"):
        list(train(TINY, [pairs], tmp_path, resume=True))


def test_the_result_is_a_network_the_catalog_loads(pairs: Path, tmp_path: Path) -> None:
    done = list(train(TINY, [pairs], tmp_path))[-1]
    card = find_cards(done.weights)[0]
    assert (card.name, card.scale, card.architecture, card.settings) == (
        "tiny-x2",
        2,
        "compact",
        {"width": 32, "depth": 1},
    )
    assert card.more["training"]["best_step"] == done.step
    assert card.more["scores"]["validation"] == done.scores
    assert len(card.more["training"]["manifests"][0]) == 64
    held_out = Shards([pairs], "validation")
    assert Validation(held_out, 4)(load_network(card).module)["psnr"] == pytest.approx(
        done.scores["psnr"], abs=0.01
    )  # type: ignore[arg-type]
    assert all(t.dtype == torch.float16 for t in load_file(done.weights).values())


def test_the_best_weights_are_kept_not_the_last(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([30.0, 32.0, 31.0, 0.0])  # the last one is of the finished file
    monkeypatch.setattr(
        "pipelines.training.trainer.Validation.__call__", lambda *_: {"psnr": next(scores), "gain": 0.0}
    )
    events = list(train(replace(TINY, validate_every=4), [pairs], tmp_path))
    assert [e.best for e in events if isinstance(e, Validated)] == [True, True, False]
    assert events[-1].step == 8
    kept, state = load_file(events[-1].weights), torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert torch.equal(kept["tail.weight"], state["best"]["tail.weight"].half())
    assert not torch.equal(state["best"]["tail.weight"], state["average"]["tail.weight"])


def test_init_takes_over_what_fits_from_another_scale(pairs: Path) -> None:
    shipped = load_file(find_cards("fast-x2")[0].path)
    trainer = Trainer(
        replace(TINY, init="fast-x2", network={"width": 32, "depth": 8}), [pairs], pairs, torch.device("cpu")
    )
    own = trainer.state.network.state_dict()
    assert torch.equal(own["body.3.weight"], shipped["body.3.weight"].float())
    with pytest.raises(UsageError, match="training can't start from it"):
        Trainer(replace(TINY, init="lanczos"), [pairs], pairs, torch.device("cpu"))


def test_data_of_another_scale_are_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of scale 2, x-x3 is of scale 3"):
        list(train(TrainSettings("x-x3", 3), [pairs], tmp_path))


def test_the_rate_warms_up_and_falls_along_a_cosine() -> None:
    settings = replace(TINY, steps=1000, optimizer=OptimizerSettings(learning_rate=1.0, warmup_steps=10))
    rates = [learning_rate(settings, s) for s in range(1000)]
    assert rates[0] == pytest.approx(0.1, rel=1e-3)
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[500] == pytest.approx(0.5)
    assert rates[999] == pytest.approx(1e-3)


@pytest.mark.parametrize("loss", ["l1", "mse", "charbonnier"])
def test_the_short_way_through_a_step_has_the_same_loss_and_gradients(pairs: Path, loss: str) -> None:
    trainer = Trainer(replace(TINY, loss=loss), [pairs], pairs, torch.device("cpu"))
    with torch.no_grad():
        trainer.state.network.tail.weight.normal_(0, 0.05)  # type: ignore[union-attr]
    batch = trainer.loader.batch(0)
    objective = trainer.objective
    short = objective.prepare(batch)
    assert short.target is not None
    results = []
    for value in (objective.loss(batch, 0), objective.loss(short, 0)):
        trainer.state.network.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        results.append(
            (value.item(), [p.grad.clone() for p in trainer.state.network.parameters() if p.grad is not None])
        )
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-7) for a, b in zip(results[0][1], results[1][1], strict=True)
    )


def test_ssim_and_rmsprop_train_too(pairs: Path, tmp_path: Path) -> None:
    settings = replace(TINY, loss="ssim", optimizer=OptimizerSettings(kind="rmsprop", learning_rate=1e-4))
    assert isinstance(list(train(settings, [pairs], tmp_path))[-1], Trained)


def test_the_average_follows_the_weights(pairs: Path) -> None:
    state = Trainer(TINY, [pairs], pairs, torch.device("cpu")).state
    before = state.average["tail.bias"].clone()
    with torch.no_grad():
        state.network.tail.bias.add_(1)  # type: ignore[operator, union-attr]
    state.step = 10_000
    state.update_average(0.9)
    assert torch.allclose(state.average["tail.bias"], before + 0.1)


@pytest.mark.parametrize("minutes_of_harm", [True, False])
def test_per_title_keeps_only_what_wins(tmp_path: Path, minutes_of_harm: bool) -> None:
    source = film(tmp_path / "film.mp4", (40,), width=256, height=192)
    least = 100.0 if minutes_of_harm else 0.05
    events = list(tune(source, tmp_path / "tuned", init="fast-x2", minutes=0.01, least_gain_db=least))
    verdict = events[-1]
    assert isinstance(verdict, FineTuningResult)
    assert verdict.pairs > 0
    assert verdict.kept == (verdict.gain_db >= least)
    assert verdict.kept == (tmp_path / "tuned" / "film-x2.safetensors").exists() == bool(verdict.weights)


def test_a_film_too_short_to_be_learnt_from_is_warned_about_before_pairs_are_made(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", (24,), width=256, height=192)
    first = next(tune(source, tmp_path / "tuned"))
    assert first.text.endswith(
        "24 frames give at most 32 pairs, which are few: expect a network that is no better; a longer film"
        " has more"
    )
    assert not (tmp_path / "tuned").exists()


def test_per_title_goes_on_where_it_was_stopped_and_with_more_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = film(tmp_path / "film.mp4", (24,), width=256, height=192), tmp_path / "tuned"
    steps = itertools.count(1)
    at = [0]

    def costs() -> Iterator[float]:
        for at[0] in steps:
            yield 0.03

    _ticking(monkeypatch, costs(), 0.03)
    with pytest.raises(Interrupted, match="step 5 of 20"):
        list(tune(source, folder, minutes=0.01, stop=lambda: at[0] == 5))
    with pytest.raises(UsageError, match="--resume"):
        list(tune(source, folder, minutes=0.01))
    with pytest.raises(Interrupted, match="step 7 of 20"):
        list(tune(source, folder, resume=True, stop=lambda: at[0] == 7))
    events = list(tune(source, folder, minutes=0.02, resume=True))
    assert [e.step for e in events if isinstance(e, Stepped)][-1] == 40


def test_export_writes_what_the_catalog_reads_and_refuses_other_tensors(tmp_path: Path) -> None:
    network = Compact(scale=3, width=32, depth=2)
    path = export(
        network.state_dict(),
        NetworkFacts(
            "compact", {"width": 32, "depth": 2}, 3, 'with "quotes"', {"scores": {"Set5": {"psnr": 1.5}}}
        ),
        folder=tmp_path,
        name="some-x3",
    )
    card = read_card(path.with_suffix(".toml"))
    assert card.description == 'with "quotes"'
    assert card.parameters == sum(p.numel() for p in network.parameters())
    assert card.more == {"scores": {"Set5": {"psnr": 1.5}}}
    assert card.halo_px == network.contract.halo_px
    # 6 -> 32, twice 32 -> 32, 32 -> 54 channels, 3x3, at a quarter of the pixels; two operations a weight.
    assert gflop_per_megapixel(network) == pytest.approx(2 * 9 * (6 * 32 + 2 * 32 * 32 + 32 * 54) / 4 / 1e3)
    with pytest.raises(UsageError, match="first that differs"):
        export(
            network.state_dict(),
            NetworkFacts("compact", {"width": 32, "depth": 3}, 3),
            folder=tmp_path,
            name="x-x3",
        )


def test_toml_of_every_kind_of_value_reads_back() -> None:
    import tomllib

    table = {"a": 1, "b": 1.5, "c": 'x\n"y" é', "d": True, "e": [1, 2], "f": {"g h": {"i": "j"}}, "k": None}
    assert tomllib.loads(to_toml(table)) == {k: v for k, v in table.items() if v is not None}


def test_adopted_weights_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "home"))
    network = Compact(scale=2, width=32, depth=1)
    path = export(
        network.state_dict(),
        NetworkFacts("compact", {"width": 32, "depth": 1}, 2),
        folder=tmp_path,
        name="own-x2",
    )
    kept = install_model(str(path), name="mine", sha256=find_cards(str(path))[0].sha256)
    assert kept.name == "mine-x2"
    assert find_cards("mine")[0].path == str(tmp_path / "home" / "models" / "mine-x2.safetensors")
    with pytest.raises(UsageError, match="already"):
        install_model(str(path), name="mine")
    with pytest.raises(MediaError, match="not the one given"):
        install_model(str(path), name="other", sha256="0" * 64)
    with pytest.raises(UsageError, match="--sha256"):
        install_model("https://example.invalid/x.safetensors")
    with pytest.raises(UsageError, match="https"):
        install_model("http://example.invalid/x.safetensors", sha256="0" * 64)


def test_a_window_repeats_the_ends_of_a_clip() -> None:
    class Around:
        past, future = 1, 1

    luma = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    chroma = torch.arange(6.0).reshape(3, 2, 1, 1)
    first, colours = window((luma, chroma), 0, Around())  # type: ignore[arg-type]
    assert first[0, :, 0, 0].tolist() == [0, 0, 1]
    assert colours[0, :, 0, 0].tolist() == [0, 1, 0, 1, 2, 3]
    assert window((luma, chroma), 2, Around())[0][0, :, 0, 0].tolist() == [1, 2, 2]  # type: ignore[arg-type]


def test_upscale_pads_odd_sizes_and_gives_the_exact_size() -> None:
    network = load_network(find_cards("fast-x2")[0]).module
    low = to_values(clip(2, 34, 46))
    result = upscale(network, low)
    assert result[0].shape == (2, 1, 68, 92)
    assert result[1].shape == (2, 2, 34, 46)
    assert (result[0] - classical(low, 2, "bicubic")[0]).abs().mean() < 0.1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_configuration_builds_its_network_within_its_family(path: Path) -> None:
    from pipelines.model_files.card_writer import build, parameter_count

    settings = read_settings(TrainSettings, path)
    assert settings.name == path.stem
    assert settings.batch.truth_px % (2 * settings.scale) == 0
    most = {
        "fast": 120_000,
        "quality": 600_000,
        "real": 2_400_000,
        "recurrent": 1_300_000,
        "diffusion": 1_000_000,
    }.get(path.stem.partition("-")[0], 300_000)
    assert parameter_count(build(settings.architecture, settings.scale, settings.network)) <= most


def test_the_log_survives_a_resume_without_double_lines(pairs: Path, tmp_path: Path) -> None:
    count = itertools.count(1)
    with pytest.raises(Interrupted):
        list(train(TINY, [pairs], tmp_path, stop=lambda: next(count) == 8))
    list(train(TINY, [pairs], tmp_path, resume=True))
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps.count(6) == 1


# --- by restoration level


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("levelled")
    degrade = DegradeSettings(
        clean=0.2, restoration=True, levels=True, codec=1.0, codecs=("h264",), crf=(10, 44)
    )
    settings = DatasetSettings(
        truth_px=64, shrink=1, degrade=degrade, crops=CropSettings(per_frame=8, duplicate_bits=1), passes=2
    )
    list(make_dataset([pictures(folder / "stills", 8, 200, 260)], folder / "pairs", settings))
    return folder / "pairs"


RESTORING = replace(
    TINY, architecture="restoring", frozen=("knots.0.",), batch=BatchSettings(pairs=4, truth_px=32, levels=2)
)


def test_each_pair_has_the_level_that_was_measured_on_it(levelled: Path) -> None:
    shards = Shards([levelled], "train")
    records = [shards.record(n) for n in range(len(shards))]
    assert all(level_of_damage(Damage(**r["damage"])) == r["level"] for r in records)
    plain = [r["level"] for r in records if set(r["degradation"]["stages"][0]) == {"kernel"}]
    assert plain
    assert max(plain) == 0 < max(r["level"] for r in records)


def test_the_parts_of_a_batch_are_alike_in_level_and_every_level_comes_as_often(levelled: Path) -> None:
    shards = Shards([levelled], "train")
    loader = BatchLoader(shards, replace(RESTORING.batch, pairs=8), seed=1)
    found = [loader.batch(step).levels for step in range(60)]
    assert all(levels is not None and levels.shape == (2,) for levels in found)
    flat = torch.cat([levels for levels in found if levels is not None])
    assert flat.min() < 0.2 < 0.6 < flat.max()


def test_peers_share_out_whole_parts_of_one_level(levelled: Path) -> None:
    shards = Shards([levelled], "train")
    whole, first, second = (
        BatchLoader(shards, RESTORING.batch, seed=1, share=share).batch(3)
        for share in ((0, 1), (0, 2), (1, 2))
    )
    assert torch.equal(torch.cat([first.low[0], second.low[0]]), whole.low[0])
    assert whole.levels is not None
    assert first.levels is not None
    assert second.levels is not None
    assert torch.equal(torch.cat([first.levels, second.levels]), whole.levels)
    with pytest.raises(UsageError, match="can't be shared out"):
        BatchLoader(shards, replace(RESTORING.batch, pairs=6, levels=3), seed=1, share=(0, 2))


def test_frozen_weights_stay_and_the_others_learn(levelled: Path, tmp_path: Path) -> None:
    begun = export(Compact(scale=2, width=32, depth=1).state_dict(), NetworkFacts("compact", {"width": 32, "depth": 1}, 2),
                   folder=tmp_path, name="plain-x2")  # fmt: skip
    *_, done = train(replace(RESTORING, init=str(begun)), [levelled], tmp_path / "run")
    assert isinstance(done, Trained)
    before, after = load_file(begun), load_file(done.weights)
    assert all(torch.equal(after[f"knots.0.{name}"], tensor) for name, tensor in before.items())
    assert not torch.equal(after["knots.2.tail.weight"], before["tail.weight"])
    card = read_card(Path(done.weights).with_suffix(".toml"))
    assert card.restores
    assert card.gflop_per_megapixel == pytest.approx(
        gflop_per_megapixel(Compact(scale=2, width=32, depth=1)), rel=0.01
    )
    loaded = load_network(card, restore=0.4)
    assert isinstance(loaded.module, Compact)


def test_pairs_without_levels_are_refused_where_levels_are_wanted(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"degrade\.levels"):
        list(train(RESTORING, [pairs], tmp_path))


def test_settings_from_before_name_the_checkpoints_that_they_did() -> None:
    told = TINY.identity()
    assert "frozen" not in told
    assert "levels" not in told["batch"]
    adversarial = replace(TINY, objective=ObjectiveSettings("adversarial", adversarial=0.1)).identity()[
        "objective"
    ]
    assert not {"stages", "tone", "discriminator"} & adversarial.keys()


def test_the_crisp_end_is_trained_next_to_the_faithful_one_which_stays(
    levelled: Path, tmp_path: Path
) -> None:
    settings = replace(
        RESTORING, network={"width": 32, "depth": 1, "crisp": True}, frozen=("knots.",), init="fast-x2", steps=4, validate_every=4,
        objective=ObjectiveSettings("adversarial", tone=1.0, adversarial=0.01, discriminator="unet", keep="last"),
    )  # fmt: skip
    settings = replace(settings, network={"width": 32, "depth": 8, "crisp": True})
    *_, done = train(settings, [levelled], tmp_path / "run")
    assert isinstance(done, Trained)
    weights, plain = load_file(done.weights), load_file(find_cards("fast-x2")[0].path)
    assert all(
        torch.equal(weights[f"knots.{knot}.{name}"].half(), tensor.half())
        for knot in range(3)
        for name, tensor in plain.items()
        if not name.startswith(INTEGERS)
    )
    assert not torch.equal(weights["crisp.1.tail.weight"], weights["knots.1.tail.weight"])
