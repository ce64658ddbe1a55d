"""`MetricsProcess`: VMAF, VMAF-NEG, XPSNR and SSIM by FFmpeg, frame by frame, while the frames arrive.

Frames with the same time are stacked in one raw image, so one pipe feeds all filters and nothing waits for
anything but FFmpeg. Uses imageio-ffmpeg's binary, through ffmpeg-python.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import MediaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from pipelines.frames.sample_values import SampleValues

__all__ = ["MetricsProcess", "VmafProcess", "pooled", "vmaf_model"]


_LINES_OF_4K = 1440
"""Images with more lines (columns, if portrait) are judged as on a 4K screen, seen from 1.5 times its
height."""


def vmaf_model(width: int, height: int) -> str:
    """The VMAF model for images of that size."""
    return "vmaf_4k_v0.6.1" if min(width, height) > _LINES_OF_4K else "vmaf_v0.6.1"


def pooled(name: str, values: np.ndarray) -> float:
    """The score of a clip: the mean over its frames.

    For XPSNR it is the level of the mean distortion, as in FFmpeg's filter. It is infinite if all frames
    equal the reference.
    """
    if name != "xpsnr":
        return float(np.mean(values))
    distortion = float(np.mean(10 ** (-values / 20)))
    return -20 * math.log10(distortion) if distortion else math.inf


class MetricsProcess:
    """A running FFmpeg; a context manager, which ends it."""

    _only_vmaf = False

    def __init__(
        self,
        width: int,
        height: int,
        bits: int,
        *,
        results: int = 1,
        rate: Fraction | int = 25,
        threads: int = 2,
    ) -> None:
        """For 4:2:0 frames of that even size and 8, 10 or 12 bits.

        results: number of clips measured against one reference. Raises UsageError if ffmpeg-python or
        imageio-ffmpeg is missing.
        """
        try:
            import ffmpeg
            import imageio_ffmpeg
        except ImportError as error:
            raise UsageError(
                f"VMAF and XPSNR need the packages ffmpeg-python and imageio-ffmpeg: {error}"
            ) from error
        self.model = vmaf_model(width, height)
        self._results, self._frames = results, 0
        self._folder = tempfile.TemporaryDirectory(prefix="vsr-metrics-")
        self._grey = np.full(
            (height // 2, width // 2), 1 << (bits - 1), np.uint8 if bits == 8 else "<u2"
        ).tobytes()
        pixels = "yuv420p" if bits == 8 else f"yuv420p{bits}le"
        stacked = ffmpeg.input(
            "pipe:", format="rawvideo", pix_fmt=pixels, s=f"{width}x{height * (results + 1)}", r=str(rate)
        ).split()
        parts = [stacked[n].crop(0, n * height, width, height).split() for n in range(results + 1)]
        outputs = []
        for number in range(results):
            for place, (name, options) in enumerate(self._filters(number, threads)):
                reference = parts[-1][len(self._filters(number, threads)) * number + place]
                outputs.append(ffmpeg.filter([parts[number][place], reference], name, **options))
        command = ffmpeg.output(*outputs, "pipe:", format="null").global_args("-hide_banner", "-v", "error")
        with open(self._path("said"), "wb") as said:
            arguments = command.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
            )

    def _filters(self, number: int, threads: int) -> list[tuple[str, dict[str, Any]]]:
        vmaf = {"log_fmt": "json", "log_path": self._path(f"vmaf{number}"), "n_threads": threads}
        if self._only_vmaf:
            return [("libvmaf", {**vmaf, "model": f"version={self.model}"})]
        models = f"version={self.model}|version={self.model}neg:name=neg"
        return [
            ("libvmaf", {**vmaf, "model": models}),
            ("xpsnr", {"stats_file": self._path(f"xpsnr{number}")}),
            ("ssim", {"stats_file": self._path(f"ssim{number}")}),
        ]

    def _path(self, name: str) -> str:
        return os.path.join(self._folder.name, name)

    def add(self, frames: Sequence[SampleValues]) -> None:
        """Add one frame of each result, then the reference's, all of the expected size and depth.

        Raises MediaError if FFmpeg has exited.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join(np.ascontiguousarray(f.luma).tobytes() for f in frames))
            for plane in (0, 1):
                self._process.stdin.write(
                    b"".join(np.ascontiguousarray(f.chroma[:, plane]).tobytes() for f in frames)
                )
        except OSError as error:
            raise self._failed() from error
        self._frames += 1

    def add_luma(self, planes: Sequence[np.ndarray]) -> None:
        """Add frames as luma only, (H,W) integers: all that VMAF uses.

        Raises MediaError if FFmpeg has exited.
        """
        assert self._process.stdin is not None
        try:
            for luma in planes:
                self._process.stdin.write(np.ascontiguousarray(luma).tobytes())
            self._process.stdin.write(2 * len(planes) * self._grey)
        except OSError as error:
            raise self._failed() from error
        self._frames += 1

    def figures(self) -> list[dict[str, np.ndarray]]:
        """Return one value per frame for each result.

        vmaf and vmaf_neg (0..100), xpsnr (dB, of luma) and ssim (of luma, at most 1), or vmaf alone. No frame
        can be added afterwards. Raises MediaError if FFmpeg failed.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError as error:
            raise self._failed() from error
        if self._process.wait() != 0:
            raise self._failed()
        return [self._read(number) for number in range(self._results)]

    def _read(self, number: int) -> dict[str, np.ndarray]:
        frames = [f["metrics"] for f in json.loads(Path(self._path(f"vmaf{number}")).read_bytes())["frames"]]
        found = {"vmaf": [f["vmaf"] for f in frames]}
        if self._only_vmaf:
            return {"vmaf": np.array(self._checked("vmaf", found["vmaf"]), np.float64)}
        found["vmaf_neg"] = [f["neg"] for f in frames]
        # "n:    1  XPSNR y: 38.1234  XPSNR u: ...", then lines without "n:"; "inf" for equal pictures.
        found["xpsnr"] = re.findall(
            r"^n:.*?XPSNR y: *(\S+)", Path(self._path(f"xpsnr{number}")).read_text(), re.MULTILINE
        )
        found["ssim"] = re.findall(
            r"^n:\d+ Y:(\S+)", Path(self._path(f"ssim{number}")).read_text(), re.MULTILINE
        )
        return {name: np.array(self._checked(name, values), np.float64) for name, values in found.items()}

    def _checked(self, name: str, values: list[Any]) -> list[Any]:
        if len(values) != self._frames:
            raise MediaError(
                f"FFmpeg's {name} has figures of {len(values)} frames, {self._frames} were handed to it"
            )
        return values

    def _failed(self) -> MediaError:
        self._process.wait()
        said = Path(self._path("said")).read_text(errors="replace").strip().splitlines() or [
            f"it ended with {self._process.returncode}"
        ]
        return MediaError(f"FFmpeg's filters for VMAF, XPSNR and SSIM failed: {said[-1]}")

    def __enter__(self) -> MetricsProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it had ended before
                self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


class VmafProcess(MetricsProcess):
    """VMAF alone, which costs less than all metrics together."""

    _only_vmaf = True
