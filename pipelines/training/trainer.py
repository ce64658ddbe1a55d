"""`Trainer`: the training loop of one process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find, shipped_like
from models.errors import Interrupted, UsageError
from pipelines.datasets.batch_loader import Batch, Loader
from pipelines.datasets.gpu_loader import ResidentPairs
from pipelines.datasets.shards import Shards, manifest_hash
from pipelines.inference.device import device_name, low_precision
from pipelines.model_files.card_writer import NetworkFacts, build, export
from pipelines.objectives.registry import OBJECTIVES
from pipelines.objectives.settings import TrainSettings, learning_rate
from pipelines.pool.malloc import keep_freed_memory
from pipelines.training.checkpoint import State
from pipelines.training.train_step import Gradients, record_cuda_graph
from pipelines.training.training_events import GradientExchange, Stepped, Trained, Validated
from pipelines.training.training_log import TrainLog
from pipelines.training.validation import Validation
from pipelines.training.weight_transfer import transfer_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

__all__ = ["LEAST_STEPS", "STEPS_FILE", "Trainer", "seconds_a_step"]


_LOG_EVERY = 100
LEAST_STEPS = 20
_UNTIMED = 3
"""First steps, which are slower than the rest."""
_TIMED, _TIMED_SECONDS = 10, 2.0
"""At least so many steps are timed, for at least this time."""
_RARELY_SECONDS = 3600.0
"""Validations with a longer interval have no relevant cost."""
STEPS_FILE = "minutes.json"
"""The number of steps for the requested minutes."""


class Trainer:
    """One training run."""

    def __init__(
        self,
        settings: TrainSettings,
        data: list[Path],
        folder: Path,
        device: torch.device,
        peers: GradientExchange | None = None,
    ) -> None:
        """peers: processes on other devices that work on the same steps, each on a part of every batch."""
        self.settings, self.folder, self.device, self.peers = settings, folder, device, peers
        share = (peers.number, peers.count) if peers is not None else (0, 1)
        self.first = share[0] == 0
        """Whether it is the process that validates, writes and reports."""
        keep_freed_memory()
        if device.type == "cuda":
            # the same steps have the same bits
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = (
                False,
                True,
            )
            torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        if settings.threads:
            torch.set_num_threads(settings.threads)
        shards = Shards(data, "train")
        if shards.scale != settings.scale:
            raise UsageError(
                f"{data[0]}: its pairs are of scale {shards.scale}, {settings.name} is of scale"
                f" {settings.scale}"
            )
        resident = ResidentPairs(shards, device) if ResidentPairs.fit(shards, device) else None
        self.loader = Loader(shards, settings.batch, settings.seed, share=share, resident=resident)
        self._shipped_db: float | None = None
        self.validation = Validation(Shards(data, "validation"), settings.validation_pairs)
        self.data = {
            "manifests": [manifest_hash(d) for d in data],
            "train_pairs": len(shards),
            "validation_pairs": len(self.validation),
        }
        self.identity = hashlib.sha256(
            json.dumps([settings.identity(), self.data["manifests"]], sort_keys=True).encode()
        ).hexdigest()
        self.train_pairs = len(shards)
        self.state = _start(settings, device)
        self.autocast = precision_of(settings.precision, device)
        self.objective = OBJECTIVES[settings.objective.kind](
            settings, self.state.network, device, self.autocast
        )
        self.objective.share = share
        self.state.objective = self.objective
        self._gradients = Gradients(
            self.objective, self.autocast, record_cuda_graph if device.type == "cuda" else None
        )

    def steps(self, stop: Callable[[], bool]) -> Iterator[Stepped | Validated]:
        """Run all remaining steps, with validations between them."""
        settings, state = self.settings, self.state
        total, since, saved = torch.zeros((), device=self.device), 0, time.monotonic()
        if self.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.log = TrainLog(self.folder)
            self.log.forget_after(state.step)
        begun = time.monotonic()
        for batch in self._batches(state.step, settings.steps):
            total += self._tried(batch)
            since += 1
            is_told = state.step % _LOG_EVERY == 0 or state.step == settings.steps
            loss = total.item() / since if is_told else 0.0  # waits for the device
            state.seconds += time.monotonic() - begun
            stopped = self._agreed(stop)
            if not self.first:
                if stopped:
                    return
                begun = time.monotonic()
                continue
            if is_told:
                event = Stepped(
                    state.step, settings.steps, loss, since / max(1e-9, time.monotonic() - self.log.last)
                )
                self.log.write({"step": state.step, "loss": event.loss})
                total.zero_()
                since = 0
                yield event
            if state.step % settings.validate_every == 0 or state.step == settings.steps:
                yield self._validate()
                saved = self._save()
            if time.monotonic() - saved > settings.checkpoint_seconds:
                saved = self._save()
            if stopped:
                self._save()
                raise Interrupted(
                    f"{self.folder}: stopped after step {state.step} of {settings.steps}; the same command"
                    " with --resume continues"
                )
            begun = time.monotonic()

    def _batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Batches of steps `start` to `stop`, prepared on the training device.

        On a CUDA device, the arithmetic differs from a CPU's.
        """
        if self.device.type == "cpu":
            yield from self.loader.batches(start, stop, self.objective.prepare)
            return
        for batch in self.loader.batches(start, stop, lambda raw: raw):
            yield self.objective.prepare(batch.to(self.device))

    def _tried(self, batch: Batch) -> Tensor:
        """Make a step; if the device runs out of memory, the pairs are removed from it.

        Memory runs out in a pass, before anything is changed.
        """
        try:
            return self.step(batch)
        except torch.OutOfMemoryError:
            if not self.loader.leave_device():
                raise
            torch.cuda.empty_cache()
            return self.step(batch)

    def _agreed(self, stop: Callable[[], bool]) -> bool:
        """Whether the first process was told to stop; all must stop after the same step."""
        if self.peers is None:
            return stop()
        wish = torch.tensor(float(self.first and stop()), device=self.device)
        self.peers.average([wish])
        return wish.item() > 0

    def step(self, batch: Batch) -> Tensor:
        """Make one step; returns its loss, a scalar on the device that the next step may overwrite."""
        settings, state, objective = self.settings, self.state, self.objective
        rate = learning_rate(settings, state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = batch.to(self.device)
        loss = self._gradients(batch, state.step)
        if self.peers is not None:
            self.peers.average([loss, *(p.grad for p in state.network.parameters() if p.grad is not None)])
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), settings.optimizer.clip_norm)
        state.optimizer.step()
        objective.after(batch, rate / settings.optimizer.learning_rate)
        state.update_average(settings.ema_decay)
        state.step += 1
        return loss

    def _save(self) -> float:
        self.state.save(self.folder / "checkpoint.pt", self.identity)
        return time.monotonic()

    def _validate(self) -> Validated:
        state = self.state
        network = self._averaged(state.average)
        scores = self.validation(network)
        best = scores["psnr"] > state.best_db or self.settings.objective.keep == "last"
        if best:
            state.best_db, state.best_step = scores["psnr"], state.step
            state.best = {k: v.clone() for k, v in state.average.items()}
            self._export(scores)  # whatever ends the training, its best so far is there
        self.log.write({"step": state.step, **scores})
        self.log.draw(self.validation.pictures(network))
        return Validated(state.step, scores, best, *self._beside_shipped(scores))

    def _beside_shipped(self, scores: dict[str, float]) -> tuple[str, float | None]:
        """The shipped network of the same architecture and size, and its PSNR minus ours on these pairs.

        It was trained on far more data.
        """
        size = sum(p.numel() for p in self.state.network.parameters())
        card = shipped_like(self.settings.architecture, self.settings.scale, size)
        if card is None:
            return "", None
        if self._shipped_db is None:
            module: Any = load_network(card).module
            self._shipped_db = self.validation(
                module.to(self.device).to(memory_format=torch.channels_last).eval()
            )["psnr"]
        return card.name, round(scores["psnr"] - self._shipped_db, 3)

    def _averaged(self, weights: dict[str, Tensor]) -> nn.Module:
        network = build(self.settings.architecture, self.settings.scale, self.settings.network)
        network.load_state_dict(weights)
        return network.to(self.device).to(memory_format=torch.channels_last).eval()

    def finish(self) -> Trained:
        """Write the best average weights and their card."""
        state = self.state
        # Judged as they will be used: after rounding to fp16.
        rounded = {k: v.half().float() for k, v in state.best.items()}
        scores = self.validation(self._averaged(rounded))
        scores = {k: round(v, 3) for k, v in scores.items()}
        return Trained(
            str(self._export(scores)),
            state.best_step,
            scores,
            state.seconds,
            *self._beside_shipped(scores),
            init=self.settings.init,
        )

    def _export(self, scores: dict[str, float]) -> Path:
        state, settings = self.state, self.settings
        training = {
            "steps": settings.steps, "best_step": state.best_step, "seconds": round(state.seconds),
            "device": device_name(self.device), "torch": torch.__version__, "init": settings.init,
            "loss": settings.loss, "seed": settings.seed, **self.data,
        }  # fmt: skip
        if settings.changes:
            training["changes"] = settings.changes
        if self.peers is not None:
            training["workers"] = self.peers.count
        if "objective" in settings.identity():
            training["objective"] = {
                k: v for k, v in asdict(settings.objective).items() if v not in {0.0, ""}
            }
        scored = {k: round(v, 3) for k, v in scores.items()}
        facts = NetworkFacts(
            settings.architecture,
            settings.network,
            settings.scale,
            settings.description,
            {"training": training, "scores": {"validation": scored}},
        )
        return export(state.best, facts, folder=self.folder, name=settings.name)


def seconds_a_step(settings: TrainSettings, data: Sequence[str | Path], device: str = "cpu") -> float:
    """Time of a training step here, including its share of validations.

    Measured on a few steps that are discarded.
    """
    run = Trainer(settings, [Path(d) for d in data], Path(data[0]), torch.device(device))
    begun, number = time.monotonic(), 0
    for number, batch in enumerate(run._batches(0, settings.steps), start=1 - _UNTIMED):
        loss = run.step(batch)
        if number == 0:
            loss.item()  # waits for the device
            begun = time.monotonic()
        if number >= _TIMED and time.monotonic() - begun > _TIMED_SECONDS:
            break
    loss.item()
    step = (time.monotonic() - begun) / number
    if settings.validate_every * step > _RARELY_SECONDS:
        return step
    begun = time.monotonic()
    run.validation(run._averaged(run.state.average))
    return step + (time.monotonic() - begun) / settings.validate_every


def _start(settings: TrainSettings, device: torch.device) -> State:
    """Seeded weights, or those of `init` transferred to the network; their average; a new optimizer."""
    torch.manual_seed(settings.seed)
    network = build(settings.architecture, settings.scale, settings.network)
    if settings.init:
        old = _weights_of(settings.init, settings.scale)
        weights, taken = transfer_weights(
            network, network.begun_from(old) if isinstance(network, Restoring) else old
        )
        if not taken:
            raise UsageError(
                f"init = {settings.init!r}: none of its tensors fits {settings.architecture}"
                f" {settings.network}; leave it out"
            )
        if settings.changes:
            weights = _changed(network, weights, settings)
        network.load_state_dict(weights)
    network.to(device).to(memory_format=torch.channels_last)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(settings.frozen))
    choice, parameters = settings.optimizer, list(network.parameters())
    optimizer: torch.optim.Optimizer
    if choice.kind == "adam":
        optimizer = torch.optim.Adam(
            parameters, lr=choice.learning_rate, betas=(choice.betas[0], choice.betas[1]), fused=True
        )
    else:
        optimizer = torch.optim.RMSprop(parameters, lr=choice.learning_rate, alpha=choice.betas[1])
    return State(network, optimizer, {k: v.detach().clone() for k, v in network.state_dict().items()})


def _changed(network: nn.Module, weights: dict[str, Tensor], settings: TrainSettings) -> dict[str, Tensor]:
    """Weights with `changes` added. Raises UsageError if either network doesn't support this."""
    cards = [c for c in find(settings.changes) if c.restores]
    if not isinstance(network, Restoring) or not cards:
        raise UsageError(
            f"changes = {settings.changes!r}: expected a network that restores, for one that is to restore;"
            " leave it out"
        )
    module: Any = load_network(cards[0]).module
    return network.changed_as(weights, module)


def _weights_of(name: str, scale: int) -> dict[str, Tensor]:
    """Weights of a network by name or file; for a family, those of this scale or else of the smallest."""
    cards = sorted(
        (c for c in find(name) if c.architecture not in {"interpolation", "foreign", "onnx"}),
        key=lambda c: (c.scale != scale, c.scale),
    )
    if not cards:
        raise UsageError(
            f"init = {name!r}: training can't start from it; expected a built-in network, such as fast-x2"
        )
    module: Any = load_network(cards[0]).module
    weights: dict[str, Tensor] = module.state_dict()
    return weights


def precision_of(precision: str, device: torch.device) -> Callable[[], Any]:
    """A context for the forward pass in that precision."""
    if precision == "bf16" or (precision == "auto" and low_precision(device) != torch.float32):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext
