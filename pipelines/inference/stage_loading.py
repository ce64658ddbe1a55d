"""Loads the networks of a plan's stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.catalog.loader import load_network
from pipelines.inference.device import device_traits

if TYPE_CHECKING:
    from models.network import LoadedNetwork
    from pipelines.plan.plan import NetworkStage, Plan

__all__ = ["load_stage", "memory_format"]


def load_stage(stage: NetworkStage, chroma_offset: tuple[float, float]) -> LoadedNetwork:
    """Load the network of a stage; a restoring one becomes the plain network at the stage's level."""
    return load_network(
        stage.card,
        height=stage.height,
        width=stage.width,
        chroma_offset=chroma_offset,
        restore=stage.restore,
        detail=stage.detail or 0.0,
    )


def memory_format(plan: Plan, device: torch.device) -> torch.memory_format:
    """Memory format of a network's maps: the plan's, else the faster one of the device."""
    last = plan.memory_format == "nhwc" if plan.memory_format else device_traits(device).channels_last
    return torch.channels_last if last else torch.contiguous_format
