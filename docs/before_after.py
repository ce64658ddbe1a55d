"""Make the README's picture: the demo clip through Lanczos and through the default network, cropped and put side by side.

Run after `make demo` has fetched the clip: `python docs/before_after.py [CLIP]`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import numpy as np

import vsr
from pipelines.picture import write_png

SECONDS = "4.6-4.64"
CROP = (slice(1320, 1780), slice(2100, 2660))
"""Rows and columns of the 4K frame."""


def upscaled(clip: Path, model: str, folder: Path) -> np.ndarray:
    """(H,W,3) uint8: one frame of the clip at 4K."""
    output = folder / f"{model}.mkv"
    for _ in vsr.upscale(clip, output, to="4k", model=model, codec="h264", crf=1, range=SECONDS):
        pass
    with av.open(str(output)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def main() -> None:
    """Write docs/images/before-after.png."""
    clip = Path(sys.argv[1] if len(sys.argv) > 1 else "demo/bigbuckbunny.mp4")
    with tempfile.TemporaryDirectory() as folder:
        before, after = (upscaled(clip, model, Path(folder))[CROP] for model in ("lanczos", "auto"))
    gap = np.full((before.shape[0], 8, 3), 255, np.uint8)
    target = Path(__file__).parent / "images" / "before-after.png"
    target.parent.mkdir(exist_ok=True)
    write_png(target, np.concatenate([before, gap, after], axis=1))


if __name__ == "__main__":
    main()
