"""`overview`: one table of all shipped networks: size, cost, speed here, scores; it is how docs/models.md is made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models.catalog import TRAINED, load_network, read_card
from pipelines.evaluate import EvaluateSettings, Row, evaluate
from pipelines.scores import gain_over
from pipelines.train import device_name, keep_freed_memory, precision_of
from pipelines.upscale import upscale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog import Card

__all__ = ["frames_per_second", "overview"]

_WIDTH, _HEIGHT = 1920, 1080
_NOISY = "noise-10"
_TILE = (270, 480)
"""Small enough for the maps of a tile to stay in cache, as a run cuts them on a CPU."""


def frames_per_second(card: Card, *, device: str = "cpu", seconds: float = 3.0) -> float:
    """1080p frames a second through the network alone, in tiles, without decoding, encoding or rounding."""
    keep_freed_memory()
    place = torch.device(device)
    network = load_network(card)
    module = network.module
    module.to(place, memory_format=torch.channels_last)  # type: ignore[attr-defined]
    frames = network.contract.past + 1 + network.contract.future
    tile = (torch.rand(frames, 1, *_TILE, device=place), torch.rand(frames, 2, _TILE[0] // 2, _TILE[1] // 2, device=place) - 0.5)
    tiles = (_HEIGHT // _TILE[0]) * (_WIDTH // _TILE[1])
    context = precision_of("auto", place)

    def run() -> None:
        with context():
            upscale(module, tile, contract=network.contract)
        if place.type == "cuda":
            torch.cuda.synchronize()

    run()  # warms up
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        run()
        done += 1
    return done * frames / tiles / (time.perf_counter() - begun)


def overview(sets: Sequence[Path], *, device: str = "cpu") -> str:
    """Markdown: a row for each shipped network, with its gain over bicubic on each set (PSNR-Y, dB)."""
    shipped = sorted((read_card(p) for p in TRAINED.glob("*.toml")), key=lambda c: (c.family, c.scale))
    rows: list[Row] = []
    for case in ("clean", _NOISY):
        chosen = [c.path for c in shipped if _case(c) == case]
        if chosen:
            rows += [e for e in evaluate(chosen, sets, EvaluateSettings(metrics=("psnr",), cases=(case,))) if isinstance(e, Row)]
    head = ["network", "parameters", "GFLOP a 1080p frame", "1080p frames a second", *(s.stem for s in sets)]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for card in shipped:
        cells = [
            f"`{card.name}`",
            f"{card.parameters / 1e3:.0f} K",
            f"{card.gflop_per_megapixel * _WIDTH * _HEIGHT / 1e6:.0f}",
            f"{frames_per_second(card, device=device):.1f}",
            *(_score(card, s, rows) for s in sets),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return _TEXT.format(table="\n".join(lines), device=device_name(torch.device(device)), torch=torch.__version__)


def _case(card: Card) -> str:
    """What a network is judged on: those that restore on noisy input, of which bicubic keeps the noise."""
    return _NOISY if card.architecture == "deconvolution" else "clean"


def _score(card: Card, source: Path, rows: Sequence[Row]) -> str:
    for row in rows:
        if (row.model, row.set, row.scale, row.case) == (card.name, source.name, card.scale, _case(card)):
            gain = gain_over("bicubic", row, rows)
            noisy = " noisy" if row.case == _NOISY else ""
            return f"{row.scores['psnr']:.2f} ({gain:+.2f}){noisy}" if gain is not None else ""
    return ""


_TEXT = """# The networks that come with `vsr`

Made by `vsr models table --data SET...`; do not edit by hand.

{table}

- Scores: PSNR-Y in dB on clean pictures or frames, in brackets the gain over bicubic; protocol: `pipelines/evaluate.py`.
  Where it says noisy, the input had noise of σ = 10/255, and at the same size (×1) the gain is over the noisy input itself.
- Speed: the network alone, in tiles of 270x480, on {device}, torch {torch}; decoding and encoding come on top.
- Operations: of the convolutions; a multiply-add is two.

## Which one

- **Films, anything, no time to think**: leave `--model` out (`fast`), or take `quality` where a GPU is at hand, `recurrent` for the best
  and calmest picture from video.
- **Noisy or soft sources** (old digital video, high ISO): `deconvolution-x2` restores while it doubles; `--model deconvolution-x1,fast`
  restores first and then upscales with whatever you like. On clean sources both take detail away: do not.
- **Looks rather than fidelity** (stills, textures, a screen seen from afar): `adversarial` draws crisper detail than any of those that
  minimise an error, `diffusion` adds grain-like detail from a noise field that stands still. Both invent: not for evidence, medical
  or scientific pictures, and compare before you use them on faces and text. The same input gives the same bytes.
- **To compare, teach or build upon**: `srcnn`, `espcn`, `edsr`, `progressive`, `backprojection`, `autoencoder`, `cosine` and `vae` are
  the ideas of their papers at one small size and one way of training, so that what differs is the idea.
  The table says what each gives for its cost.

Each was made by `vsr train configs/train/NAME.toml`; `configs/train/README.md` says with which data. For one film,
`vsr train --per-title` tunes a network on it, and keeps it if it wins.
"""
