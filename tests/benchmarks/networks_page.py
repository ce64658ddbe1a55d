"""The page of the shipped networks, docs/models.md: size, cost, speed here, scores, and a picture of each.

python -m tests.benchmarks.networks_page --data Set5 --data Urban100 --picture film.mp4 -o docs/models.md
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.catalog.card import TRAINED, read_card
from models.catalog.loader import load_network
from models.errors import UsageError
from pipelines.datasets.degradation import read_case
from pipelines.datasets.degrading import degrade
from pipelines.frames.images import strip, write_jpeg
from pipelines.frames.reference_upscaler import classical, upscale
from pipelines.frames.sample_values import SampleValues, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.inference.device import choose_device, device_name, low_precision
from pipelines.pool.malloc import keep_freed_memory
from pipelines.probe.probe import probe
from pipelines.quality.evaluation import EvaluationRow, evaluate
from pipelines.quality.judgement import EvaluateSettings
from pipelines.quality.score_tables import gain_over
from pipelines.storage.atomic_file import write_atomically
from tests.benchmarks.network_speed import frames_per_second

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.catalog.card import Card
    from models.network import Planes

__all__ = ["OverviewSettings", "opening_of", "overview"]


_CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "train"
_WIDTH, _HEIGHT = 1920, 1080
_NOISY = "noise-10"
_OF_FILMS = frozenset({"compact", "recurrent"})
"""Architectures that are compared on film clips, which take long."""
_MOMENT = 5
"""Frames of a film that a strip is made of; the middle one is shown."""
_STRIP_PX, _MARGIN_PX = 112, 40
"""Side of what is shown, and how much more the networks see around it: together a multiple of 24, which all
scales and 4:2:0 divide."""
_BF16 = low_precision(torch.device("cpu")) == torch.bfloat16
"""As in a run here."""


@dataclass(frozen=True)
class OverviewSettings:
    """What is measured."""

    sets: tuple[Path, ...]
    """Folders of pictures, for all networks."""
    clips: tuple[Path, ...] = ()
    """Films, for those that are made for films."""
    picture: Path | None = None
    """Film (its middle) or picture that the strips are of; None: no strips."""
    images: Path | None = None
    """Folder for them, below the one that the text will lie in."""
    device: str = "cpu"
    earlier: str | None = None
    """An earlier text; its speeds are kept instead of being measured again."""
    opening: str = ""
    """What stands before the tables: one that a benchmark wrote, see `opening_of`."""
    limit: int = 0
    """At most so many pictures of a set; 0: all."""
    frames: int = 16
    """Of a clip."""


def overview(settings: OverviewSettings) -> str:
    """The page as Markdown. Raises UsageError if strips have no place, and the errors of evaluation."""
    if settings.picture is not None and settings.images is None:
        raise UsageError("strips want a place: give the file that the text goes to (-o)")
    keep_freed_memory()
    shipped = sorted(
        (read_card(p) for p in TRAINED.glob("*.toml")), key=lambda c: (_order(c), c.family, c.scale)
    )
    parts = [_table(shipped, settings)]
    if settings.clips:
        parts.append(_table_of_clips(shipped, settings))
    films = _OF_FILMS_TEXT if any(c.temporal for c in shipped) else ""
    text = _TEXT.format(
        opening=settings.opening + "\n\n" if settings.opening else "",
        tables="\n\n".join(parts),
        speed=_speed_line(settings),
        films=films,
        unmade=_unmade(shipped),
    )
    if settings.picture is None or settings.images is None:
        return text
    drawn = [(c.name, _draw(c, settings.picture, settings.images).name) for c in shipped]
    lines = [f"`{name}`\n\n![{name}]({settings.images.name}/{image})" for name, image in drawn]
    return text + _STRIPS.format(source=settings.picture.stem) + "\n\n".join(lines) + "\n"


def opening_of(page: str) -> str:
    """The section that `tests.benchmarks.footage` wrote into a page, with its markers; "" if it has none."""
    found = re.search(r"^## On compressed footage$.*?<!-- end of footage -->", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def _unmade(shipped: Sequence[Card]) -> str:
    """Networks for which there is a training configuration but no weights."""
    missing = [
        f"`{p.stem}`" for p in sorted(_CONFIGS.glob("*.toml")) if p.stem not in {c.name for c in shipped}
    ]
    return (
        f"Not shipped yet, but can be trained from their settings files: {', '.join(missing)}.\n\n"
        if missing
        else ""
    )


def _order(card: Card) -> int:
    """The built-in family first."""
    return {"fast": 0, "quality": 1, "recurrent": 2}.get(card.family, 3)


def _table(shipped: Sequence[Card], settings: OverviewSettings) -> str:
    """A row for each network: PSNR-Y and gain over bicubic on each set; share of the truth's detail."""
    rows: list[EvaluationRow] = []
    for case in ("clean", _NOISY):
        chosen = [c.path for c in shipped if _case(c) == case]
        judging = EvaluateSettings(
            metrics=("psnr", "energy"), cases=(case,), limit=settings.limit, bf16=_BF16
        )
        rows += _rows(chosen, settings.sets, judging)
    head = [
        "network",
        "parameters",
        "GFLOP per 1080p frame",
        "1080p frames per second",
        *(s.stem for s in settings.sets),
        "detail",
        "steps",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    known = _earlier_speeds(settings.earlier) if settings.earlier is not None else None
    for card in shipped:
        cells = [
            f"`{card.name}`",
            f"{card.parameters / 1e3:.0f} K",
            f"{card.gflop_per_megapixel * _WIDTH * _HEIGHT / 1e6:.0f}",
            (
                known.get(card.name, "–")
                if known is not None
                else f"{frames_per_second(card, device=settings.device):.2g}"
            ),
            *(_score(card, s.name, rows) for s in settings.sets),
            f"{_energy(card, settings.sets[0].name, rows):.2f}",
            f"{card.more.get('training', {}).get('steps', '-')}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for scale in sorted({c.scale for c in shipped if _case(c) == "clean"}):
        plain = [
            next(r for r in rows if (r.model, r.scale, r.set, r.case) == ("bicubic", scale, s.name, "clean"))
            for s in settings.sets
        ]
        figures = [f"{r.scores['psnr']:.2f}" for r in plain]
        lines.append(
            "| "
            + " | ".join([f"bicubic ×{scale}", "", "", "", *figures, f"{plain[0].scores['energy']:.2f}", ""])
            + " |"
        )
    return "\n".join(lines)


def _table_of_clips(shipped: Sequence[Card], settings: OverviewSettings) -> str:
    """The networks that are made for films, on films: each clip, and the mean of their gains."""
    chosen = [c for c in shipped if c.architecture in _OF_FILMS]
    judging = EvaluateSettings(cases=("clean",), metrics=("psnr",), frames=settings.frames, bf16=_BF16)
    rows = _rows([c.path for c in chosen], settings.clips, judging)
    head = ["network", *(c.stem for c in settings.clips), "mean gain"]
    lines = [
        f"On films, the first {settings.frames} frames of each:",
        "",
        "| " + " | ".join(head) + " |",
        "|---" + "|---:" * (len(head) - 1) + "|",
    ]
    for card in chosen:
        gains = [
            gain_over("bicubic", r, rows) or 0.0
            for r in rows
            if (r.model, r.scale) == (card.name, card.scale)
        ]
        cells = [
            f"`{card.name}`",
            *(_score(card, c.name, rows) for c in settings.clips),
            f"{np.mean(gains):+.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rows(models: Iterable[str], sets: Sequence[Path], settings: EvaluateSettings) -> list[EvaluationRow]:
    models = list(models)
    return (
        [event for event in evaluate(models, sets, settings) if isinstance(event, EvaluationRow)]
        if models
        else []
    )


def _case(card: Card) -> str:
    """The case on which a network is scored: noisy input for those that restore; bicubic keeps the noise."""
    return _NOISY if card.architecture == "deconvolution" else "clean"


def _row(card: Card, name: str, rows: Sequence[EvaluationRow]) -> EvaluationRow:
    return next(r for r in rows if (r.model, r.set, r.scale) == (card.name, name, card.scale))


def _score(card: Card, name: str, rows: Sequence[EvaluationRow]) -> str:
    row = _row(card, name, rows)
    noisy = " noisy" if row.case == _NOISY else ""
    return f"{row.scores['psnr']:.2f} ({gain_over('bicubic', row, rows):+.2f}){noisy}"


def _energy(card: Card, name: str, rows: Sequence[EvaluationRow]) -> float:
    return _row(card, name, rows).scores["energy"]


def _earlier_speeds(text: str) -> dict[str, str]:
    """Name -> frames a second, as an earlier table has them."""
    cells = (line.split("|") for line in text.splitlines() if line.startswith("| `"))
    return {c[1].strip().strip("`"): c[4].strip() for c in cells if len(c) > 6}


def _speed_line(settings: OverviewSettings) -> str:
    if settings.earlier is not None:
        found = re.search(r"^- Speed: .*?(?=^- )", settings.earlier, re.MULTILINE | re.DOTALL)
        return found[0].strip() if found else "- Speed: not measured."
    return _SPEED.format(device=device_name(torch.device(settings.device)), torch=torch.__version__)


def _draw(card: Card, source: Path, folder: Path) -> Path:
    """Write a strip of what the network gets, Lanczos, the network and the truth, every pixel as 2x2."""
    truth, matrix = _moment(source)
    low = to_values(degrade(truth, read_case(_case(card)), scale=card.scale))
    network = load_network(card)
    result = upscale(network.module, low, contract=network.contract, bf16=_BF16, matrix=matrix)
    shown = [
        classical(low, card.scale, "nearest"),
        classical(low, card.scale, "lanczos"),
        result,
        to_values(truth),
    ]
    path = folder / f"{card.name}.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    write_jpeg(
        path, strip([_inside(planes) for planes in shown], matrix, side=_STRIP_PX).repeat(2, 0).repeat(2, 1)
    )
    return path


def _inside(planes: Planes) -> Planes:
    """Without the border, which is for networks to see beyond what is shown."""
    luma, chroma = (slice(m, -m) for m in (_MARGIN_PX, _MARGIN_PX // 2))
    return planes[0][..., luma, luma], planes[1][..., chroma, chroma]


@functools.lru_cache(1)
def _moment(source: Path) -> tuple[SampleValues, int]:
    """The most detailed place of a few frames from the middle of a film, or of the picture.

    And the matrix of its colour.

    Raises UsageError where the frames are too small.
    """
    reader = VideoReader(probe(source))
    last = min(len(reader.info.pts), len(reader.info.pts) // 2 + _MOMENT)
    frames = [
        reader.codes(frame) for number, frame in enumerate(reader.frames(last)) if number >= last - _MOMENT
    ]
    clip = SampleValues(
        np.concatenate([f.luma for f in frames]), np.concatenate([f.chroma for f in frames]), reader.bits
    )
    height, width = clip.luma.shape[1:]
    side = _STRIP_PX + 2 * _MARGIN_PX
    if min(height, width) < side:
        raise UsageError(f"{source}: is {width}x{height}; strips are cut from {side}x{side} and more")
    middle = clip.luma[len(frames) // 2].astype(np.int32)
    places = [
        (top, left) for top in range(0, height - side + 1, 24) for left in range(0, width - side + 1, 24)
    ]
    detail = [
        np.abs(
            np.diff(
                middle[t + _MARGIN_PX : t + side - _MARGIN_PX, x + _MARGIN_PX : x + side - _MARGIN_PX], axis=1
            )
        ).mean()
        for t, x in places
    ]
    return clip.crop(*places[int(np.argmax(detail))], side, side), int(reader.tags.matrix)


_SPEED = """- Speed: of the network in a run, from decoded frames to frames to encode, on {device}, torch {torch}; decoding and encoding
  are not included, and a run is faster if parts of the image are static (`vsr bench` measures a whole run, `vsr plan --measure` estimates one)."""

_TEXT = """# The shipped networks

Generated by `python -m tests.benchmarks.networks_page`; do not edit by hand.

{opening}{tables}

- Scores: PSNR-Y in dB on clean images or frames, with the gain over bicubic in brackets; protocol: `docs/judging.md`.
  For noisy inputs, noise of σ = 10 (of 255) was added; at the same size (×1) the gain is over the noisy input itself.
- Detail: gradient energy relative to the ground truth, on the first set; below 1 the output is softer than the ground truth. `adversarial`
  is trained for this column, not for PSNR.
- Steps: those of the last training, `-` if the card has no number. Some networks had earlier trainings, named by `init` in the card. The
  weights are the average that was best on held-out images (`best_step`), or the last one for generative networks. Networks with few steps
  would improve with more.
{speed}
- Operations: those of the convolutions; a multiply-add counts as two.

## Which one

- **Most films**: omit `--model`. On a CPU it selects `fast`, the cheapest of the networks for films. With a GPU it selects `quality`, with
  about five times the compute; its gain is largest on fine, regular structure such as that of Urban100. If a family has no network for a
  scale, a smaller one is used twice, at several times the cost; `vsr plan` shows the networks of a run. {films}`vsr preview` shows
  samples of your own film through each, with the estimated time.
- **Noisy or soft sources** (old digital video, high ISO): `deconvolution-x2` restores and upscales in one step; `--model
  deconvolution-x1,fast` restores first and then upscales with any network. On clean sources both remove detail.
- **Appearance over fidelity** (stills, textures, a screen seen from afar): `adversarial` has sharper detail than networks trained to
  minimise an error. It invents detail: don't use it for evidence, medical or scientific images, and check faces and text.
  `diffusion`, with grain from a fixed noise field, is an experiment and needs far more compute. Both give the same bytes for the same
  input.
- **Research and comparison**: `srcnn`, `espcn`, `edsr`, `progressive`, `backprojection`, `autoencoder`, `cosine` and `vae` implement
  their papers at one small size, trained on the same footage by the same command, each with the loss of its paper. The table shows
  quality and cost. Scores are not fully comparable if steps or training pairs differ (`train_pairs` in the cards): `edsr`,
  `backprojection` and `vae` had all their steps, and more pairs.
- **A long film, a series, or a special look** (a game, a cartoon): `vsr train --per-title` fine-tunes a network on it, reports the gain
  on held-out shots, and keeps the result only if it is better.

{unmade}Each was made by `vsr train configs/train/NAME.toml`. `configs/train/README.md` lists the data and the exceptions; the card next to
the weights (`models/trained/NAME.toml`) has the training time.
"""

_OF_FILMS_TEXT = """`recurrent` also uses neighbouring
  frames and a hidden state. It needs 2.6 times the compute of `quality` and helps if detail is ambiguous in a single frame, such as the
  facades of `vid4_city`; elsewhere it gains a tenth of a dB at most. """

_STRIPS = """
## Sample images

The place with the most detail in a frame of {source} (Big Buck Bunny: CC-BY 3.0, © 2008 Blender Foundation, peach.blender.org), which
no network was trained on, at twice its size. From left to right: the input, with its pixels enlarged; Lanczos; the
network; the ground truth.

"""


def main() -> None:
    """Write the page, or print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", action="append", required=True, type=Path, help="pictures, for all networks"
    )
    parser.add_argument("--clip", action="append", default=[], type=Path, help="video, for networks of films")
    parser.add_argument("--picture", type=Path, help="video (its middle) or picture that strips are made of")
    parser.add_argument("--no-speed", action="store_true", help="keep the speeds that OUTPUT has")
    parser.add_argument("--device", default="auto", help="where speed is measured")
    parser.add_argument("--limit", type=int, default=0, help="at most so many pictures of a set; 0: all")
    parser.add_argument("-o", "--output", type=Path, help="default: standard output")
    given = parser.parse_args()
    output: Path | None = given.output
    page = output.read_text(encoding="utf-8") if output is not None and output.exists() else ""
    text = overview(
        OverviewSettings(
            tuple(given.data),
            tuple(given.clip),
            given.picture,
            output.parent / "networks" if output is not None else None,
            choose_device(given.device).type,
            earlier=page if given.no_speed else None,
            opening=opening_of(page),
            limit=given.limit,
        )
    )
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text.encode())


if __name__ == "__main__":
    main()
