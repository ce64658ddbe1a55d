"""Events of training as a progress bar, or as JSON lines for a scheduler."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from models.errors import counted
from pipelines.datasets.events import DatasetDone, Progress, UnitLeftOut
from pipelines.plan.events import Note
from pipelines.training.fine_tuning import FineTuningResult
from pipelines.training.training_events import Stepped, Stepping, Trained, Validated
from vsr.views.progress_bar import bar
from vsr.views.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tqdm import tqdm

__all__ = ["JsonView", "TerminalView"]


class JsonView:
    """Prints one JSON object per line on standard output."""

    def show(self, event: Any) -> None:
        """Write one event, unless it is only there to move a bar."""
        if isinstance(event, Stepping):
            return
        sys.stdout.write(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}) + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Do nothing."""


class TerminalView:
    """A bar on standard error, and lines for important events."""

    def __init__(self, *, advises: bool = True) -> None:
        """advises: say what to try if a network turns out worse than the one that comes with vsr."""
        self._advises = advises
        self._bar: tqdm[Any] | None = None
        self._unit = ""
        self._drawn: dict[type, Callable[[Any], None]] = {
            Progress: self._progress,
            Stepped: self._stepped,
            Stepping: self._stepping,
            UnitLeftOut: lambda e: self._line(f"{e.unit}: {e.reason}"),
            DatasetDone: self._dataset_done,
            Note: lambda e: self._line(e.text),
            Validated: lambda e: self._line(
                f"step {e.step}:"
                f" {_gains(e.scores)}{_beside(e)}{' (best of this training so far)' if e.best else ''}"
            ),
            Trained: self._trained,
            FineTuningResult: lambda e: self._line(
                f"{e.gain_db:+.2f} dB on {e.pairs} held-out pairs: "
                + (
                    f"kept; use it with --model {e.weights}"
                    if e.kept
                    else f"not worth keeping; use --model {e.original}, or fine-tune on a longer film"
                )
            ),
        }

    def show(self, event: Any) -> None:
        """Show one event."""
        self._drawn[type(event)](event)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _bar_for(self, unit: str, total: int, what: str) -> tqdm[Any]:
        if self._bar is None or self._unit != unit:
            self.close()
            self._bar, self._unit = bar(total, what, sys.stderr, unit[:40]), unit
        return self._bar

    def _progress(self, event: Progress) -> None:
        drawn = self._bar_for(event.unit, event.total, "frame")
        drawn.total = event.total
        drawn.set_postfix(pairs=event.pairs, refresh=False)
        drawn.update(event.done - drawn.n)

    def _dataset_done(self, event: DatasetDone) -> None:
        rejected = event.rejected
        pairs = counted(event.train_pairs, "pair")
        self._line(
            f"{event.folder}: {pairs} to train on, {event.validation_pairs} held out; left out"
            f" {rejected['flat']} flat, {rejected['blurred']} blurred, {rejected['duplicate']} alike"
        )
        if not event.validation_pairs:
            self._line(
                f"{event.folder}: has nothing to validate by; training wants it beside another data set, or"
                " made of more footage"
            )

    def _trained(self, event: Trained) -> None:
        self._line(
            f"{event.weights}: weights of step {event.step}, {_gains(event.scores)}{_beside(event)},"
            f" {event.seconds / 60:.1f} minutes in steps"
        )
        if self._advises and event.over_shipped is not None and event.over_shipped <= 0:
            self._line(_advice(event))

    def _stepped(self, event: Stepped) -> None:
        self._bar_for("training", event.steps, "step").set_postfix(loss=f"{event.loss:.5f}", refresh=False)
        self._stepping(Stepping(event.step, event.steps))

    def _stepping(self, event: Stepping) -> None:
        drawn = self._bar_for("training", event.steps, "step")
        drawn.total = event.steps
        drawn.update(event.step - drawn.n)

    def _line(self, text: str) -> None:
        self.close()
        sys.stderr.write(printable(text) + "\n")


def _advice(event: Trained) -> str:
    """What to try if the shipped network is better."""
    footage = "more footage" + ("" if event.init else f" or a start from it: --init {event.shipped}")
    if event.step < event.last_step:
        return (
            f"on these pairs {event.shipped} is better, and training got worse after step {event.step} of"
            f" {event.last_step}; in another folder (-o), try {footage}"
        )
    return (
        f"on these pairs {event.shipped} is better; more training may help (the same command with --resume"
        f" and more --minutes), and, in another folder (-o), {footage}"
    )


def _beside(event: Validated | Trained) -> str:
    return (
        f", {event.over_shipped:+.2f} against the shipped {event.shipped}"
        if event.over_shipped is not None
        else ""
    )


def _gains(scores: dict[str, float]) -> str:
    parts = [f"{scores['psnr']:.2f} dB, {scores['gain']:+.2f} over Lanczos"]
    parts += [
        f"{name.removeprefix('gain_')} {value:+.2f}"
        for name, value in scores.items()
        if name.startswith("gain_")
    ]
    return ", ".join(parts)
