"""The architectures a card can name, in one literal table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.adversarial import Adversarial
from models.autoencoder import Autoencoder
from models.backprojection import Backprojection
from models.compact import Compact
from models.cosine import Cosine
from models.deconvolution import Deconvolution
from models.diffusion import Diffusion
from models.edsr import Edsr
from models.espcn import Espcn
from models.progressive import Progressive
from models.recurrent import Recurrent
from models.srcnn import Srcnn
from models.vae import Vae

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: dict[str, Callable[..., Any]] = {
    "compact": Compact,
    "recurrent": Recurrent,
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
