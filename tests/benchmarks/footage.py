"""Compares networks on compressed footage.

`python -m tests.benchmarks.footage [NETWORK...] [--write docs/models.md]` makes the first table of that page.
Each clip of the shared material is downscaled by two (antialiased bicubic), encoded with x264 medium at CRF
18, 24 and 30, decoded and upscaled by two with each network and with Lanczos; `--scale` sets another factor.
The figures are mean gains over Lanczos in PSNR-Y (dB) and VMAF-NEG, flicker relative to Lanczos and, with
`--features`, the deep-feature distance relative to Lanczos.

Networks that take a restoration level get the one selected by `--level`: the level measured for the clip
("measured"), the estimated one ("auto"), or a number. A chain is given by names joined by commas, a
third-party network by its file. Larger results are reduced with bicubic, smaller ones enlarged with Lanczos,
as in a run. NETWORK@0.5 sets another `--detail`. `--noise 3 6 10` adds cases with noise of that deviation
before CRF 20.

Two more figures show invented texture: gradient energy in the flattest quarter of the ground truth's 16x16
blocks, relative to Lanczos, and the additional error compared with Lanczos after blurring (sigma 4), in 8-bit
values. NETWORK "truth" (with --of) gives the energy of the ground truth itself. `--not-below NAME` counts
clips with less VMAF-NEG than NAME. Freedoom is excluded, because networks are trained on it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.layers.resampling import resample
from models.losses.deep_distance import DeepDistance
from pipelines.datasets.damage import level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation, DegradationStep
from pipelines.datasets.degrading import degrade
from pipelines.frames.ffmpeg_metrics import MetricsProcess
from pipelines.frames.film_frames import frames_at
from pipelines.frames.images import to_pixels
from pipelines.frames.level_estimator import level_of_clip
from pipelines.frames.reference_upscaler import classical, upscale
from pipelines.frames.sample_values import LEFT, SampleValues, from_values, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.probe.probe import probe
from pipelines.quality import metrics
from pipelines.settings.run_settings import detail_at
from tests.benchmarks.report import table, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.network import Planes

CRFS = (18, 24, 30)
MEDIUM = 1
"""Of the presets of H.264."""
TRAINED_ON = frozenset({"game_1080p_with_sound"})
_BORDER_PX = 2
_NOISY_CRF = 20
_FLAT_PX, _FLAT_SHARE, _BLUR_SIGMA_PX = 16, 0.25, 4.0
_DEEP_FRAMES = 3
"""Of a clip, that the deep-feature distance looks at."""


@dataclass(frozen=True, eq=False)
class Case:
    """A clip at one CRF."""

    clip: str
    crf: int
    low: SampleValues
    clean: SampleValues
    truth: SampleValues
    rate: int
    matrix: int
    noise: float = 0.0
    """Standard deviation before the codec, in 8-bit codes."""

    @property
    def scale(self) -> int:
        """Factor by which the clip was reduced."""
        return self.truth.luma.shape[2] // self.low.luma.shape[2]

    @property
    def treatment(self) -> str:
        """What became of the clip."""
        return f"σ {self.noise:g}, crf {self.crf}" if self.noise else f"crf {self.crf}"


def cases(
    folder: Path, crfs: Sequence[int], frames: int, only: str, noises: Sequence[float] = (), *, scale: int = 2
) -> Iterator[Case]:
    """All clips at all CRFs, and with noise."""
    unit = 2 * scale
    paths = sorted([*(folder / "eval" / "video").glob("*.mp4"), *(folder / "eval").glob("vid4_*.mkv")])
    for path in paths:
        if path.stem in TRAINED_ON or (only and not any(part in path.stem for part in only.split(","))):
            continue
        reader = VideoReader(probe(path))
        height, width = reader.height // unit * unit, reader.width // unit * unit
        first = max(
            0, min(reader.info.frame_count * 2 // 5, reader.info.frame_count - frames)
        )  # films begin in the dark
        stretch = [(first, min(first + frames, reader.info.frame_count))]
        clip = [reader.codes(f).crop(0, 0, height, width) for _, f in frames_at(reader.info, stretch)]
        truth = SampleValues(
            np.concatenate([c.luma for c in clip]), np.concatenate([c.chroma for c in clip]), reader.bits
        )
        clean = degrade(truth, Degradation(), scale=scale)
        for crf, noise in [*((crf, 0.0) for crf in crfs), *((_NOISY_CRF, noise) for noise in noises)]:
            low = degrade(
                clean,
                Degradation((DegradationStep(codec="h264", quality=crf, preset=MEDIUM, noise_codes=noise),)),
                scale=1,
            )
            yield Case(
                path.stem,
                crf,
                low,
                clean,
                truth,
                max(1, round(reader.info.rate)),
                int(reader.tags.matrix),
                noise,
            )


def level_of(case: Case, wanted: str) -> float:
    """The restoration level that networks get."""
    if wanted == "measured":
        return level_of_damage(measure_damage(case.low, case.clean))
    if wanted == "auto":
        return level_of_clip(case.low.luma, case.low.bits) or 0.0
    return float(wanted)


def thinned(case: Case, every: int) -> Case:
    """Every n-th of its frames, as decoded."""
    chosen = slice(every - 1, None, every)
    return replace(
        case, low=case.low.frames(chosen), clean=case.clean.frames(chosen), truth=case.truth.frames(chosen)
    )


def middle(case: Case, size: tuple[int, int]) -> Case:
    """The middle of its frames; (height, width) of the truth there, or less where it is smaller."""
    unit, sides = 2 * case.scale, case.truth.luma.shape[1:]
    height, width = (min(side, most) // unit * unit for side, most in zip(size, sides, strict=True))
    top, left = ((most - side) // 2 // unit * unit for side, most in zip((height, width), sides, strict=True))
    part = tuple(place // case.scale for place in (top, left, height, width))
    return replace(
        case,
        low=case.low.crop(*part),
        clean=case.clean.crop(*part),
        truth=case.truth.crop(top, left, height, width),
    )


def results(case: Case, names: Sequence[str], level: float, detail: float | None) -> dict[str, Planes]:
    """The output of each network for a clip; Lanczos first. detail: None: as in a run at this level."""
    low, usual = to_values(case.low), detail_at(level, "auto") if detail is None else detail
    made = {"lanczos": classical(low, case.scale, "lanczos")}
    for name in names:
        made[name] = low
        chain, _, wanted = name.partition("@")
        for part in chain.split(","):
            found = find_cards(part)
            card = found[0] if len(found) == 1 else next(c for c in found if c.scale == 2)
            network = load_network(card, restore=level, detail=float(wanted or usual))
            made[name] = upscale(
                network.module, made[name], contract=network.contract, bf16=True, matrix=case.matrix
            )
        made[name] = fitted(made[name], case)
    return made


def fitted(planes: Planes, case: Case) -> Planes:
    """Reduced to the truth's size by antialiased bicubic, or enlarged to it by Lanczos."""
    height, width = case.truth.luma.shape[1:]
    luma, chroma = planes
    if luma.shape[-2:] == (height, width):
        return planes
    kernel = "bicubic" if luma.shape[-2] > height else "lanczos"
    return resample(luma, height, width, kernel), resample(
        chroma, height // 2, width // 2, kernel, offset=LEFT
    )


def flat_energy(result: Tensor, truth: Tensor) -> float:
    """Gradient energy of (T,H,W) luma codes in the flattest blocks of the truth."""

    def energy(x: Tensor) -> Tensor:
        across, down = x.diff(dim=-1).square()[:, :-1], x.diff(dim=-2).square()[..., :-1]
        return F.avg_pool2d(across + down, _FLAT_PX).flatten(1)

    theirs = energy(truth)
    flattest = theirs <= theirs.quantile(_FLAT_SHARE, dim=1, keepdim=True)
    return float(energy(result)[flattest].mean())


def blurred_error(result: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of (T,H,W) luma codes once both are blurred."""
    place = torch.arange(-12, 13, dtype=torch.float32)
    line = torch.exp(-place.square() / (2 * _BLUR_SIGMA_PX**2))
    line = (line / line.sum())[None, None, None]
    x = F.pad((result - truth)[:, None], (12, 12, 12, 12), mode="replicate")
    return float(F.conv2d(F.conv2d(x, line), line.transpose(2, 3)).abs().mean())


def scores(
    case: Case, made: dict[str, Planes], deep: DeepDistance | None, *, vmaf: bool
) -> dict[str, dict[str, float]]:
    """PSNR-Y, VMAF-NEG, flicker and distance of each result."""
    found: dict[str, dict[str, float]] = {}
    psnr: dict[str, list[float]] = {}
    truth = to_values(case.truth)
    codes = {name: from_values(planes, case.truth.bits) for name, planes in made.items()}
    unit = 1 << (case.truth.bits - 8)
    theirs = metrics.crop_border(torch.from_numpy(case.truth.luma.astype(np.float32)) / unit, _BORDER_PX)
    for name, result in codes.items():
        ours = metrics.crop_border(torch.from_numpy(result.luma.astype(np.float32)) / unit, _BORDER_PX)
        psnr[name] = [metrics.psnr(a, b) for a, b in zip(ours, theirs, strict=True)]
        row: dict[str, float] = {}
        row["flat"], row["blurred"] = flat_energy(ours, theirs), blurred_error(ours, theirs)
        if len(ours) > 1:
            row["flicker"] = metrics.flicker(ours, theirs)
        if deep is not None:
            row["distance"] = distance(deep, made[name], truth, case.matrix)
        found[name] = row
    told = np.isfinite(list(psnr.values())).all(axis=0)  # not in black frames, which all have exactly
    for name, row in found.items():
        row["psnr"] = float(np.mean(np.array(psnr[name])[told]))
    if vmaf:
        height, width = case.truth.luma.shape[1:]
        with MetricsProcess(width, height, case.truth.bits, results=len(codes), rate=case.rate) as meter:
            for number in range(len(case.truth.luma)):
                meter.add([c.frames(slice(number, number + 1)) for c in (*codes.values(), case.truth)])
            for row, figures in zip(found.values(), meter.figures(), strict=True):
                row["vmaf_neg"] = float(np.mean(figures["vmaf_neg"]))
    found["truth"] = {"flat": flat_energy(theirs, theirs)}
    return found


def distance(deep: DeepDistance, result: Planes, truth: Planes, matrix: int) -> float:
    """Mean over a few frames."""
    found = []
    for number in range(
        len(result[0]) // _DEEP_FRAMES // 2, len(result[0]), max(1, len(result[0]) // _DEEP_FRAMES)
    ):
        pair = [
            torch.from_numpy(to_pixels(planes, number, matrix)).permute(2, 0, 1)[None].float() / 255
            for planes in (result, truth)
        ]
        with torch.inference_mode():
            found.append(deep(pair[0], pair[1]).item())
    return float(np.mean(found))


def summary(rows: list[dict[str, Any]], names: Sequence[str]) -> str:
    """The table."""
    lines = []
    by_case: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_case[row["treatment"]].append(row)
    for name in names:
        cells = [name]
        for told in by_case.values():

            def mean(key: str, told: list[dict[str, Any]] = told, name: str = name, *, share: bool) -> float:
                pairs = [
                    (r["scores"][name][key], r["scores"]["lanczos"][key])
                    for r in told
                    if key in r["scores"].get(name, {})
                ]
                return (
                    float(np.mean([a / b if share else a - b for a, b in pairs])) if pairs else float("nan")
                )

            figures = (
                mean("psnr", share=False),
                mean("vmaf_neg", share=False),
                mean("distance", share=True),
                mean("flicker", share=True),
            )
            invented = (mean("flat", share=True), mean("blurred", share=False))
            cells.append(
                "{:+.2f} / {:+.1f} / {:.2f} / {:.2f} / {:.2f} / {:+.2f}".format(*figures, *invented)
                .replace("+nan", "–")
                .replace("nan", "–")
            )
        lines.append(cells)
    return table(["PSNR-Y dB / VMAF-NEG / distance × / flicker × / flat × / blurred", *by_case], lines)


def below(rows: list[dict[str, Any]], names: Sequence[str], other: str) -> str:
    """How many clips each network has below another's VMAF-NEG."""
    lines = []
    for name in names:
        pairs = [(r["scores"].get(name, {}), r["scores"].get(other, {})) for r in rows]
        gains = [
            one["vmaf_neg"] - two["vmaf_neg"] for one, two in pairs if "vmaf_neg" in one and "vmaf_neg" in two
        ]
        if not gains:
            continue
        lower = [gain for gain in gains if gain < 0]
        lines.append(
            f"- `{name}`: {len(lower)} of {len(gains)} below the VMAF-NEG of `{other}`, {min(lower, default=0):+.1f} at worst"
        )
    return "\n".join(lines)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=["fast-x2", "quality-x2"])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="Judge one frame in so many; more than 1: flicker and VMAF mean little.",
    )
    parser.add_argument("--middle", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="Judge that part.")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--level", default="measured")
    parser.add_argument("--detail", type=float, help="Default: what a run takes at the level.")
    parser.add_argument("--crf", type=int, nargs="*", default=CRFS)
    parser.add_argument("--noise", type=float, nargs="*", default=())
    parser.add_argument("--not-below", metavar="NETWORK")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--section", default="footage", help="Marks in the page, where the table goes.")
    parser.add_argument("--clips", default="", help="Parts of names, with commas between.")
    parser.add_argument("--no-vmaf", action="store_true")
    parser.add_argument(
        "--features", metavar="FILE", help="Weights of EfficientNet-Lite0: the deep-feature distance, too."
    )
    parser.add_argument("--json", type=Path, help="Write all figures there.")
    parser.add_argument(
        "--of", type=Path, nargs="*", default=(), help="Measure nothing: one table of what --json wrote."
    )
    given = parser.parse_args()
    rows = joined(given.of) if given.of else measured(given)
    text = summary(rows, given.networks)
    if given.not_below:
        text += f"\n\n{below(rows, [n for n in given.networks if n != given.not_below], given.not_below)}"
    tell(given.section, text, given.write)


def joined(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The results of several runs for the same cases."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8")):
            found.setdefault((row["clip"], row["treatment"]), {**row, "scores": {}})["scores"] |= row[
                "scores"
            ]
    return list(found.values())


def measured(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The scores of all cases."""
    deep = DeepDistance.read(given.features) if given.features else None
    rows: list[dict[str, Any]] = []
    folder = Path(os.environ["VSR_SHARED_DATA"])
    for case in cases(folder, given.crf, given.frames, given.clips, given.noise, scale=given.scale):
        level = level_of(case, given.level)
        case = thinned(case, given.every)  # noqa: PLW2901
        if given.middle:
            case = middle(case, given.middle)  # noqa: PLW2901
        made = results(case, given.networks, level, given.detail)
        found = scores(case, made, deep, vmaf=not given.no_vmaf)
        rows.append({"clip": case.clip, "treatment": case.treatment, "level": level, "scores": found})
        gains = "  ".join(
            f"{n} {found[n]['psnr'] - found['lanczos']['psnr']:+.2f} dB" for n in given.networks
        )
        print(
            f"{case.clip} {case.treatment}: level {level:.2f}  Lanczos {found['lanczos']['psnr']:.2f} dB  {gains}",
            flush=True,
        )
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
