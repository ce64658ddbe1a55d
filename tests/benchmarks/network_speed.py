"""Frames per second of a network in a run, from decoded frames to frames to encode, on a film of noise."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import torch

from pipelines.frames.video_reader import VideoReader
from pipelines.inference.temporal_windows import FrameBuffer, windows
from pipelines.inference.upscaler import Upscaler
from pipelines.planner.video_planner import plan_video
from pipelines.pool.malloc import keep_freed_memory
from pipelines.probe.probe import probe
from pipelines.settings.run_settings import RunSettings, TargetSettings

if TYPE_CHECKING:
    from models.catalog.card import Card

__all__ = ["frames_per_second"]


_WIDTH, _HEIGHT, _FRAMES = 640, 360, 6
_SHARE = (1920 * 1080) / (_WIDTH * _HEIGHT)
"""Frames of that size that have as many pixels as one of 1080p: networks work in tiles, so cost goes by
pixels."""


def frames_per_second(card: Card, *, device: str = "cpu", seconds: float = 2.0) -> float:
    """1080p frames per second, in the tiles of a run, with colour conversion and rounding."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="vsr-pace-") as folder:
        film = _film(Path(folder) / "film.mkv")
        settings = RunSettings(target=TargetSettings(scale=card.scale), model=card.path)
        plan = plan_video(film, Path(folder) / "out.mkv", settings).plan
        frames = list(VideoReader(probe(film)).frames())
    upscaler = Upscaler(plan, torch.device(device))
    buffer = FrameBuffer(iter(frames), 0, len(frames))
    seen = list(windows(buffer, 0, len(frames), upscaler.contract, last=len(frames) - 1, bits=8))
    upscaler.follow(seen[0])  # kernels are compiled and caches filled
    done, begun = 0, time.perf_counter()
    for window in itertools.cycle(seen[1:]):
        upscaler.follow(window)
        done += 1
        if time.perf_counter() - begun > seconds:
            break
    return done / _SHARE / (time.perf_counter() - begun)


def _film(path: Path) -> Path:
    """A few frames of noise, all different, so that no tile can be reused."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for _ in range(_FRAMES):
            pixels = rng.integers(16, 235, (_HEIGHT * 3 // 2, _WIDTH), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="yuv420p")))
        output.mux(stream.encode(None))
    return path
