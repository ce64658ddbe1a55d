"""Ways of training: each network learns, and gets the same bits after a stop.

Other trained parts, such as discriminators, are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from models.architectures.autoencoder import Autoencoder
from models.architectures.diffusion import Diffusion
from models.errors import Interrupted, UsageError
from pipelines.datasets.batch_loader import Batch, BatchSettings
from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.degradation import DegradeSettings
from pipelines.datasets.settings import DatasetSettings
from pipelines.frames.reference_upscaler import classical
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.objectives.settings import ObjectiveSettings, OptimizerSettings, TrainSettings
from pipelines.training.train import train
from pipelines.training.trainer import Trainer
from tests.helpers.footage import pictures

TINY = TrainSettings(
    "tiny-x2", 2, steps=8, validate_every=4, validation_pairs=1, threads=1, precision="fp32", batch=BatchSettings(pairs=4, truth_px=32),
    optimizer=OptimizerSettings(learning_rate=4e-3, warmup_steps=2),
)  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Training sets the number of threads; the other tests keep theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data sets of scale 1 and 2, a small autoencoder and a small diffusion network."""
    folder = tmp_path_factory.mktemp("objectives")
    stills = pictures(folder / "stills", 6, 160, 200)
    crops = CropSettings(per_frame=6, duplicate_bits=1)
    list(
        make_dataset(
            [stills],
            folder / "x2",
            DatasetSettings(truth_px=32, shrink=1, degrade=DegradeSettings(clean=1.0), crops=crops),
        )
    )
    noisy = DegradeSettings(
        clean=0.0, restoration=True, noise=1.0, noise_codes=(10.0, 15.0), blur=0.0, ringing=0.0, codec=0.0
    )
    list(
        make_dataset(
            [stills],
            folder / "x1",
            DatasetSettings(scale=1, truth_px=32, shrink=1, degrade=noisy, crops=crops),
        )
    )
    torch.manual_seed(0)
    small = {"width": 16}
    export(
        Autoencoder(scale=2, width=16).state_dict(),
        NetworkFacts("autoencoder", small, 2),
        folder=folder,
        name="features-x2",
    )
    two = {"width": 16, "steps": 2}
    export(
        Diffusion(scale=2, width=16, steps=2).state_dict(),
        NetworkFacts("diffusion", two, 2),
        folder=folder,
        name="teacher-x2",
    )
    return folder


def settings_of(kind: str, home: Path) -> TrainSettings:
    features = str(home / "features-x2.safetensors")
    small = {"width": 16}
    return {
        **{name: replace(TINY, architecture=name, network=small) for name in ("srcnn", "espcn", "autoencoder")},
        "edsr": replace(TINY, architecture="edsr", network={"width": 16, "depth": 1}),
        "progressive": replace(TINY, architecture="progressive", network={"width": 16, "depth": 1}, loss="charbonnier"),
        "backprojection": replace(TINY, architecture="backprojection", network=small, loss="charbonnier"),
        "cosine": replace(TINY, architecture="cosine", network=small, loss="mse", objective=ObjectiveSettings(cosine=0.1, features=features)),
        "deconvolution": replace(TINY, scale=1, architecture="deconvolution", network={"width": 16, "depth": 1}),
        "adversarial": replace(
            TINY, architecture="adversarial", network={"width": 16, "depth": 1},
            objective=ObjectiveSettings(
                kind="adversarial", perceptual=0.5, ssim=0.1, features=features, adversarial=0.01, form="hinge", keep="last"
            ),
        ),
        "vae": replace(TINY, architecture="vae", network={"width": 16, "latent": 8, "depth": 1}, objective=ObjectiveSettings(kind="variational", kl=1e-4)),
        "diffusion": replace(TINY, architecture="diffusion", network={"width": 16, "steps": 2}, objective=ObjectiveSettings(kind="denoising", keep="last")),
        "distilled": replace(
            TINY, architecture="diffusion", network={"width": 16, "steps": 1}, init=str(home / "teacher-x2.safetensors"),
            objective=ObjectiveSettings(kind="distillation", teacher=str(home / "teacher-x2.safetensors"), keep="last"),
        ),
    }[kind]  # fmt: skip


KINDS = [
    "srcnn", "espcn", "edsr", "progressive", "backprojection", "cosine", "autoencoder", "deconvolution", "adversarial", "vae", "diffusion", "distilled",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_on_one_batch_lower_the_loss(kind: str, home: Path) -> None:
    """Truth that is brighter than its input."""
    settings = replace(settings_of(kind, home), steps=1000)
    trainer = Trainer(settings, [home / f"x{settings.scale}"], home, CPU)
    low = trainer.loader.batch(0).low
    luma, chroma = classical(low, settings.scale, "bicubic")
    batch = trainer.objective.prepare(Batch(low, (luma + 0.05, chroma), 1))

    def loss() -> float:
        with torch.no_grad():
            return trainer.objective.loss(batch, 0).item()

    before = loss()
    for _ in range(30):
        trainer.step(batch)
    assert loss() < 0.9 * before


@pytest.mark.parametrize("kind", ["cosine", "adversarial", "vae", "diffusion"])
def test_stopped_and_resumed_it_ends_with_the_same_bits(kind: str, home: Path, tmp_path: Path) -> None:
    settings = settings_of(kind, home)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    list(train(settings, [home / "x2"], whole))
    count = itertools.count(1)
    with pytest.raises(Interrupted):
        list(train(settings, [home / "x2"], cut, stop=lambda: next(count) == 5))
    list(train(settings, [home / "x2"], cut, resume=True))
    assert (cut / "tiny-x2.safetensors").read_bytes() == (whole / "tiny-x2.safetensors").read_bytes()


@dataclass
class Peer:
    """One of processes that train together, alone."""

    number: int
    count: int = 2

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("kind", ["espcn", "vae", "diffusion", "distilled"])
def test_parts_of_a_batch_have_the_loss_of_the_whole(kind: str, home: Path) -> None:
    """So processes that train together, whose gradients are averaged, do as one would.

    Whatever is drawn for each picture.
    """
    settings = settings_of(kind, home)

    def loss(peer: Peer | None) -> float:
        run = Trainer(settings, [home / "x2"], home, CPU, peer)
        torch.manual_seed(1)
        with torch.no_grad():
            for (
                weights
            ) in run.state.network.parameters():  # last layers begin at zero, which would hide what is drawn
                weights.add_(0.1 * torch.randn(weights.shape))
            return run.objective.loss(run.objective.prepare(run.loader.batch(0)), 0).item()

    assert (loss(Peer(0)) + loss(Peer(1))) / 2 == pytest.approx(loss(None), rel=1e-5)


def test_discriminator_and_generator_both_learn(home: Path) -> None:
    trainer = Trainer(settings_of("adversarial", home), [home / "x2"], home, CPU)
    rivals = [trainer.state.network, trainer.objective.discriminator]  # type: ignore[attr-defined]
    before = [{k: v.clone() for k, v in r.state_dict().items()} for r in rivals]
    for number in range(3):
        trainer.step(trainer.loader.batch(number))
    for rival, old in zip(rivals, before, strict=True):
        assert any(not torch.equal(v, old[k]) for k, v in rival.state_dict().items())


def test_the_generator_s_step_leaves_the_discriminator_alone(home: Path) -> None:
    objective = Trainer(settings_of("adversarial", home), [home / "x2"], home, CPU).objective
    batch = Trainer(settings_of("adversarial", home), [home / "x2"], home, CPU).loader.batch(0)
    discriminator = objective.discriminator  # type: ignore[attr-defined]
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    objective.loss(batch, 0).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())


@pytest.mark.parametrize("term", ["ssim", "cosine", "perceptual", "statistics", "information"])
def test_every_term_counts_by_its_weight(term: str, home: Path) -> None:
    features = str(home / "features-x2.safetensors")
    losses = []
    for weight in (0.0, 1.0, 2.0):
        settings = replace(
            settings_of("edsr", home), objective=ObjectiveSettings(features=features, **{term: weight})
        )  # type: ignore[arg-type]
        trainer = Trainer(settings, [home / "x2"], home, CPU)
        losses.append(trainer.objective.loss(trainer.loader.batch(0), 0).item())
    assert losses[1] > losses[0]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_the_last_weights_are_kept_where_psnr_is_not_the_aim(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([32.0, 30.0, 0.0])
    monkeypatch.setattr(
        "pipelines.training.trainer.Validation.__call__", lambda *_: {"psnr": next(scores), "gain": 0.0}
    )
    assert list(train(settings_of("diffusion", home), [home / "x2"], tmp_path))[-1].step == 8


def test_a_plain_objective_leaves_checkpoints_as_they_were() -> None:
    assert "objective" not in TINY.identity()
    assert "objective" in replace(TINY, objective=ObjectiveSettings(ssim=0.1)).identity()


@pytest.mark.parametrize(("wrong", "said"), [
    ({"form": "wasserstein"}, "hinge"), ({"cosine": 0.1}, "objective.features"), ({"pixel": -1.0}, "negative"),
])  # fmt: skip
def test_objectives_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ObjectiveSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("variational", "architecture vae"),
        ("denoising", "architecture diffusion"),
        ("distillation", "diffusion"),
    ],
)
def test_objectives_of_another_architecture_are_refused(kind: str, said: str, home: Path) -> None:
    settings = replace(settings_of("edsr", home), objective=ObjectiveSettings(kind=kind))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=said):
        Trainer(settings, [home / "x2"], home, CPU)


def test_a_distillation_wants_a_teacher(home: Path) -> None:
    settings = settings_of("distilled", home)
    with pytest.raises(UsageError, match="expected a diffusion network"):
        Trainer(
            replace(
                settings, objective=replace(settings.objective, teacher=str(home / "features-x2.safetensors"))
            ),
            [home / "x2"],
            home,
            CPU,
        )
