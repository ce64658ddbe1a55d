"""`Trainer`: the training loop of one process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models.catalog.loader import load_network
from models.catalog.lookup import shipped_like
from models.errors import Interrupted, UsageError
from pipelines.datasets.batch_loader import Batch, BatchLoader
from pipelines.datasets.gpu_loader import ResidentPairs
from pipelines.datasets.shards import Shards, manifest_hash
from pipelines.inference.device import device_name, low_precision
from pipelines.model_files.card_writer import NetworkFacts, build, export
from pipelines.objectives.registry import OBJECTIVES
from pipelines.objectives.settings import TrainSettings, learning_rate
from pipelines.plan.events import Note
from pipelines.pool.malloc import keep_freed_memory
from pipelines.training.initial_state import initial_state
from pipelines.training.length import Length, StepPace
from pipelines.training.train_step import Gradients, record_cuda_graph
from pipelines.training.training_events import GradientExchange, Stepped, Stepping, Trained, Validated
from pipelines.training.training_log import TrainLog
from pipelines.training.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

__all__ = ["Trainer", "seconds_a_step"]


_LOG_EVERY = 100
_SHOWN_SECONDS = 1.0
"""Time between events that show progress."""
_UNTIMED = 3
"""First steps, which are slower than the rest."""
_TIMED, _TIMED_SECONDS = 10, 2.0
"""At least so many steps are timed, for at least this time."""
_RARELY_SECONDS = 3600.0
"""Validations with a longer interval have no relevant cost."""


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
        self.loader = BatchLoader(shards, settings.batch, settings.seed, share=share, resident=resident)
        self._shipped_db: float | None = None
        self._timed = time.monotonic()
        self._shown_at = -math.inf
        self.validation = Validation(Shards(data, "validation"), settings.validation_pairs)
        self.data = {
            "manifests": [manifest_hash(d) for d in data],
            "train_pairs": len(shards),
            "validation_pairs": len(self.validation),
        }
        told = settings.identity()
        self.identity = self._hash({k: v for k, v in told.items() if k != "steps"})
        self._earlier_identity = self._hash(told)
        self.train_pairs = len(shards)
        self.state = initial_state(settings, device)
        self.state.length = Length(settings.steps, parts=[[0, settings.steps]])
        self.autocast = precision_of(settings.precision, device)
        self.objective = OBJECTIVES[settings.objective.kind](
            settings, self.state.network, device, self.autocast
        )
        self.objective.share = share
        self.state.objective = self.objective
        self._gradients = Gradients(
            self.objective, self.autocast, record_cuda_graph if device.type == "cuda" else None
        )

    def _hash(self, told: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps([told, self.data["manifests"]], sort_keys=True).encode()).hexdigest()

    def resume(self, minutes: float | None = None) -> Iterator[Note]:
        """Load the checkpoint of the folder if there is one; more minutes or steps make the training longer.

        Raises UsageError if fewer are requested than are done, MediaError like `TrainingState.load`.
        """
        path, state = self.folder / "checkpoint.pt", self.state
        if not path.is_file():
            return
        asked = self.settings.steps
        state.load(path, self.identity, self._earlier_identity)
        before = state.length.steps
        try:
            changed = state.length.resume(state.step, asked, minutes)
        except UsageError as error:
            raise UsageError(f"{self.folder}: {error}") from error
        self.settings = replace(self.settings, steps=state.length.steps)
        if changed:
            yield Note(
                f"{self.folder}: goes on after step {state.step} of {before}, with the learning rate of"
                f" {'about ' if minutes else ''}{state.length.steps} steps from there on"
            )

    def steps(self, stop: Callable[[], bool]) -> Iterator[Stepped | Stepping | Validated]:
        """Run all remaining steps, with validations between them."""
        state = self.state
        total, since, saved = torch.zeros((), device=self.device), 0, time.monotonic()
        if self.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.log = TrainLog(self.folder)
            self.log.forget_after(state.step)
            self._log_length()
        pace = StepPace(state.length, state.step, state.seconds)
        self._past()
        for batch in self._remaining():
            total += self._tried(batch)
            since += 1
            is_told = state.step % _LOG_EVERY == 0 or self._is_last()
            if is_told:
                total.item()  # waits for the device
            self._account(pace)
            stopped = self._agreed(stop)
            if not self.first:
                if stopped:
                    return
                continue
            if is_told or self._is_last():
                loss = total.item() / since
                event = Stepped(
                    state.step, state.length.steps, loss, since / max(1e-9, time.monotonic() - self.log.last)
                )
                self.log.write({"step": state.step, "loss": event.loss})
                total.zero_()
                since = 0
                yield event
            yield from self._shown()
            if state.step % self.settings.validate_every == 0 or self._is_last():
                yield self._validate()
                state.length.elapsed += self._past()
                saved = self._save()
            if time.monotonic() - saved > self.settings.checkpoint_seconds:
                saved = self._save()
            if stopped:
                self._save()
                raise Interrupted(
                    f"{self.folder}: stopped after step {state.step} of {state.length.steps}; the same"
                    " command with --resume continues"
                )
            state.length.elapsed += self._past()

    def _shown(self) -> Iterator[Stepping]:
        """An event that shows progress, about once a second."""
        now = time.monotonic()
        if now - self._shown_at >= _SHOWN_SECONDS:
            self._shown_at = now
            yield Stepping(self.state.step, self.state.length.steps)

    def _account(self, pace: StepPace) -> None:
        """Add the time of a step, and correct their number by it."""
        past = self._past()
        self.state.seconds += past
        self.state.length.elapsed += past
        if self.peers is None and pace.correct(self.state.step, self.state.seconds):
            self._log_length()

    def _is_last(self) -> bool:
        return self.state.step >= self.state.length.steps

    def _remaining(self) -> Iterator[Batch]:
        """Batches up to the last step, which may change meanwhile."""
        if self._is_last():
            return
        for batch in self._batches(self.state.step, sys.maxsize):
            yield batch
            if self._is_last():
                return

    def _past(self) -> float:
        """Seconds since the last call."""
        last, self._timed = self._timed, time.monotonic()
        return self._timed - last

    def _log_length(self) -> None:
        """Use and log the number of steps if it changed after this step."""
        step, (first, steps) = self.state.step, self.state.length.parts[-1]
        self.settings = replace(self.settings, steps=steps)
        if first == step > 0:
            self.log.write({"step": step, "steps": steps})

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
        """Whether the first process got a signal to stop; all must stop after the same step."""
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
            self._export(scores)  # however the training ends, the best weights so far are stored
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
            last_step=state.step,
        )

    def _export(self, scores: dict[str, float]) -> Path:
        state, settings = self.state, self.settings
        training = {
            "steps": settings.steps, "best_step": state.best_step, "seconds": round(state.seconds),
            "device": device_name(self.device), "torch": torch.__version__, "init": settings.init,
            "loss": settings.loss, "seed": settings.seed, **self.data,
        }  # fmt: skip
        if len(state.length.parts) > 1:
            training["lengths"] = state.length.parts
        if state.length.minutes is not None:
            training["minutes"] = state.length.minutes
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


def precision_of(precision: str, device: torch.device) -> Callable[[], Any]:
    """A context for the forward pass in that precision."""
    if precision == "bf16" or (precision == "auto" and low_precision(device) != torch.float32):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext
