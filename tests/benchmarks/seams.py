"""Compares a film in one chunk with the same in many, for a recurrent network.

`python -m tests.benchmarks.seams MODEL VIDEO`. Upscales the first seconds twice, losslessly, once as a single
chunk and once in chunks of one second, and prints the luma PSNR of the frames from each chunk boundary on.
The state is built up from some frames before every chunk (`pipelines.plan.plan`); the remaining difference
must be invisible: 45 dB or more.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import numpy as np

import vsr
from models.catalog.lookup import find_cards

_SECONDS = 4
_SHOWN = 4


def lumas(path: Path) -> list[np.ndarray]:
    """Luma of all frames, as float64."""
    with av.open(str(path)) as container:
        return [np.asarray(f.to_ndarray()[: f.height], np.float64) for f in container.decode(video=0)]


def main() -> None:
    """Print the table."""
    model, video = sys.argv[1:3]
    scale = find_cards(model)[0].scale
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for chunk in (1000.0, 1.0):
            output = Path(folder) / f"{chunk}.mkv"
            for event in vsr.upscale(
                video,
                output,
                model=model,
                scale=scale,
                codec="ffv1",
                chunk_seconds=chunk,
                range=f"0-{_SECONDS}",
                drop_incompatible=True,
            ):
                if type(event).__name__ == "Planned":
                    starts = [c.start_frame for c in event.plan.chunks]
            made[chunk] = lumas(output)
    for start in starts[1:]:
        pairs = zip(made[1000.0][start : start + _SHOWN], made[1.0][start : start + _SHOWN], strict=True)
        values = [10 * np.log10(255**2 / max(1e-9, float(((a - b) ** 2).mean()))) for a, b in pairs]
        print(f"seam at frame {start}: " + ", ".join(f"{v:.1f}" for v in values) + " dB")


if __name__ == "__main__":
    main()
