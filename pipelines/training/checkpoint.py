"""`TrainingState`: everything that training resumes from: weights, their average, the optimizer, the step.

Saved and restored bit by bit.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from models.errors import MediaError
from pipelines.storage.atomic_file import write_atomically
from pipelines.training.length import Length

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["TrainingState"]


_FORMAT = "vsr-checkpoint-1"


class Stateful(Protocol):
    """An object with learned state."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Restore the state."""
        ...


@dataclass(eq=False)
class TrainingState:
    """Training between two steps.

    It has no state of random generators: the random numbers of a step follow from the seed and its number.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    """Exponential moving average of the weights, fp32."""
    step: int = 0
    seconds: float = 0.0
    """Seconds spent in steps so far."""
    best_db: float = float("-inf")
    """Highest validation score so far."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """The average weights with that score."""
    best_step: int = 0
    objective: Stateful | None = None
    """Other learned parts."""
    length: Length = field(default_factory=lambda: Length(0))

    def update_average(self, decay: float) -> None:
        """Move the average towards the weights.

        Faster in the first steps, when weights still change a lot.
        """
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            current = self.network.state_dict()
            # In this form the arithmetic is the same for one tensor as for many.
            torch._foreach_lerp_(list(self.average.values()), [current[k] for k in self.average], 1 - decay)

    def save(self, path: Path, identity: str) -> None:
        """Write a checkpoint. identity: hash of settings and data, without the number of steps.

        A checkpoint is resumed only if it matches.
        """
        content = {
            "format": _FORMAT,
            "identity": identity,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "best": self.best,
            "length": asdict(self.length),
            "objective": self.objective.state_dict() if self.objective else {},
            "numbers": {
                "step": self.step,
                "seconds": self.seconds,
                "best_db": self.best_db,
                "best_step": self.best_step,
            },
        }
        data = io.BytesIO()
        torch.save(content, data)
        write_atomically(path, data.getvalue(), parents=True)

    def load(self, path: Path, *identities: str) -> None:
        """Restore a checkpoint with one of these identities.

        Raises MediaError if it is damaged or has other settings or data.
        """
        try:
            content = _read(path, identities)
            self.network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
            for key, tensor in content["average"].items():
                self.average[key].copy_(tensor)
            self.best = content["best"]
            if self.objective and content.get("objective"):
                self.objective.load_state_dict(content["objective"])
            for name, value in content["numbers"].items():
                setattr(self, name, value)
            if "length" in content:
                self.length = Length(**content["length"])
            else:  # came later
                self.length.elapsed = self.seconds
        except (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise MediaError(
                f"{path}: is not a checkpoint that training can continue from:"
                f" {str(error).splitlines()[0] if str(error) else error!r}"
            ) from error


def _read(path: Path, identities: tuple[str, ...]) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if content["format"] != _FORMAT:
        raise KeyError(content["format"])
    if content["identity"] not in identities:
        raise MediaError(
            f"{path}: belongs to other settings or another data set; use another folder (-o), or leave out"
            " --resume"
        )
    return content
