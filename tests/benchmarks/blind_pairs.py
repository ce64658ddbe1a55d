"""Makes pairs of crops for a blind test.

`python -m tests.benchmarks.blind_pairs FOLDER [--models real-fast-x2] [--against lanczos fast-x2]`. Clips of
the shared material are downscaled by two, encoded with x264 medium and upscaled by two, as in
`tests.benchmarks.footage`. From each comes the place where both results differ most, without pixels of other
crops. The sides are drawn at random: `index.html` shows the pairs, left and right, at twice their size, with
the ground truth hidden until a click; `key.json` says which network made which side.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.catalog.lookup import find_cards
from pipelines.frames.images import to_pixels, write_png
from pipelines.frames.sample_values import to_values
from tests.benchmarks.footage import cases, level_of, results, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.network import Planes
    from tests.benchmarks.footage import Case

SIDE_PX = 224
_ENLARGED = 2
_GRID_PX = 32
_PAGE = """<!doctype html>
<meta charset="utf-8"><title>Blind pairs</title>
<style>
body {{ font: 15px sans-serif; background: #777; color: #fff; margin: 1em }}
figure {{ display: inline-block; margin: 0 0 1.5em }} figcaption {{ margin-bottom: .3em }}
img {{ width: {px}px; height: {px}px; image-rendering: pixelated; margin-right: 8px }}
details {{ display: inline-block; vertical-align: top }}
</style>
<h1>Which one would you take?</h1>
<p>Write down left or right for each number; <code>key.json</code> says which is whose.</p>
{pairs}
"""
_PAIR = """<figure><figcaption>{number}</figcaption><img src="{number}-left.png"><img src="{number}-right.png">
<details><summary>truth</summary><img src="{number}-truth.png"></details></figure>"""


def places(one: np.ndarray, other: np.ndarray, count: int) -> list[tuple[int, int]]:
    """(top, left) of the crops of two (H,W) planes that differ most and don't overlap, on a coarse grid."""
    height, width = one.shape
    difference = np.abs(one.astype(np.float64) - other)
    sums = np.pad(difference.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found: list[tuple[int, int]] = []
    corners = [
        (y, x)
        for y in range(0, height - SIDE_PX + 1, _GRID_PX)
        for x in range(0, width - SIDE_PX + 1, _GRID_PX)
    ]

    def amount(corner: tuple[int, int]) -> float:
        y, x = corner
        return float(
            sums[y + SIDE_PX, x + SIDE_PX] - sums[y, x + SIDE_PX] - sums[y + SIDE_PX, x] + sums[y, x]
        )

    for y, x in sorted(corners, key=amount, reverse=True):
        if all(abs(y - v) >= SIDE_PX or abs(x - u) >= SIDE_PX for v, u in found):
            found.append((y, x))
        if len(found) == count:
            break
    return found


def crops(
    case: Case, made: dict[str, Planes], names: tuple[str, str], count: int
) -> Iterator[tuple[dict[str, np.ndarray], tuple[int, int]]]:
    """({name: (SIDE_PX,SIDE_PX,3) pixels} of both results and of the truth, (top, left)) of the last
    frame.
    """
    last = len(case.low.luma) - 1
    pixels = {
        name: to_pixels(planes, last, case.matrix)
        for name, planes in {**made, "truth": to_values(case.truth)}.items()
    }
    luma = [pixels[name].astype(np.float64).mean(2) for name in names]
    for y, x in places(luma[0], luma[1], count):
        yield {name: pixels[name][y : y + SIDE_PX, x : x + SIDE_PX] for name in (*names, "truth")}, (y, x)


def write(
    folder: Path, pairs: Sequence[tuple[dict[str, np.ndarray], tuple[str, str], str]], seed: int
) -> None:
    """PNG files, the page and the key.

    pairs: (pixels by name, the two names, where it is from), in any order.
    """
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    key, shown = {}, []
    for number, place in enumerate(generator.permutation(len(pairs)), start=1):
        pixels, names, where = pairs[place]
        sides = names if generator.random() < 0.5 else names[::-1]
        for side, name in zip(("left", "right", "truth"), (*sides, "truth"), strict=True):
            write_png(folder / f"{number}-{side}.png", pixels[name])
        key[number] = {"left": sides[0], "right": sides[1], "from": where}
        shown.append(_PAIR.format(number=number))
    (folder / "index.html").write_text(
        _PAGE.format(px=SIDE_PX * _ENLARGED, pairs="\n".join(shown)), encoding="utf-8"
    )
    (folder / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="real-fast-x2")
    parser.add_argument("--against", nargs="*", default=["lanczos", "fast-x2"])
    parser.add_argument("--crf", type=int, nargs="*", default=(24, 30))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--clips", default="", help="Parts of names, with commas between.")
    parser.add_argument("--level", default="auto")
    parser.add_argument("--detail", type=float, help="Default: what a run takes at the level.")
    parser.add_argument("--pairs", type=int, default=20, help="Against each.")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    names = [name for name in (given.model, *given.against) if name != "lanczos"]
    if not all(any(c.scale == 2 for c in find_cards(name)) for name in names):
        raise SystemExit("expected networks of scale 2")
    found: dict[str, list[tuple[dict[str, np.ndarray], tuple[str, str], str]]] = {
        name: [] for name in given.against
    }
    for case in cases(Path(os.environ["VSR_SHARED_DATA"]), given.crf, given.frames, given.clips):
        level = level_of(case, given.level)
        made = results(thinned(case, given.frames), names, level, given.detail)
        for other in given.against:
            for pixels, (y, x) in crops(thinned(case, given.frames), made, (given.model, other), 1):
                found[other].append(
                    (
                        pixels,
                        (given.model, other),
                        f"{case.clip} crf {case.crf} at {x},{y}, level {level:.2f}",
                    )
                )
        print(f"{case.clip} crf {case.crf}: level {level:.2f}", flush=True)
    for other, pairs in found.items():
        write(given.folder / f"against-{other}", pairs[: given.pairs], given.seed)
        print(f"{given.folder / f'against-{other}'}: {min(len(pairs), given.pairs)} pairs")


if __name__ == "__main__":
    main()
