"""The architectures a card can name, in one literal table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.architectures.autoencoder import Autoencoder
from models.architectures.backprojection import Backprojection
from models.architectures.compact import Compact
from models.architectures.cosine import Cosine
from models.architectures.deconvolution import Deconvolution
from models.architectures.diffusion import Diffusion
from models.architectures.edsr import Adversarial, Edsr
from models.architectures.espcn import Espcn
from models.architectures.progressive import Progressive
from models.architectures.recurrent import Recurrent
from models.architectures.restoring import Restoring
from models.architectures.srcnn import Srcnn
from models.architectures.vae import Vae

__all__ = ["ARCHITECTURES"]


ARCHITECTURES: dict[str, Callable[..., Any]] = {
    "compact": Compact,
    "recurrent": Recurrent,
    "restoring": Restoring,
    "srcnn": Srcnn,
    "espcn": Espcn,
    "edsr": Edsr,
    "progressive": Progressive,
    "backprojection": Backprojection,
    "cosine": Cosine,
    "autoencoder": Autoencoder,
    "deconvolution": Deconvolution,
    "adversarial": Adversarial,
    "vae": Vae,
    "diffusion": Diffusion,
}
