"""`shared_figures`: benchmark results of this machine, as plain values to share.

They follow docs/speed/schema.json. They contain neither the owner of the machine nor paths.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import platform
import re
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from pipelines.diagnostics.benchmark import make_clip
from pipelines.diagnostics.dependencies import libraries
from pipelines.diagnostics.doctor import hardware_facts
from pipelines.hardware.resources import usable_memory
from pipelines.media.demuxer import open_decoder, open_source, packets_of
from pipelines.plan.events import Finished
from pipelines.planner.video_planner import plan_video
from pipelines.quality.comparison import Compared, compare
from pipelines.run.job import upscale_video
from pipelines.settings.run_settings import TargetSettings

if TYPE_CHECKING:
    from pipelines.diagnostics.benchmark import Bench
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import RunSettings

__all__ = ["FORMAT", "load_average", "shared_figures"]


FORMAT = 1
_JUDGED_FRAMES = 24
_LIBRARIES = ("torch", "av", "numpy", "numba")


def shared_figures(
    source: Path | None, settings: RunSettings, found: Bench, *, load: float, version: str
) -> dict[str, Any]:
    """The results of `vsr bench`, with the machine, the settings, and the quality and bit rate of an output.

    source: the measured video, or None for the synthetic clip. load: average number of runnable processes
    before the measurement. version: version of vsr. For quality, a copy is scaled down by two, upscaled with
    the same settings, and compared with the original. Raises the same errors as a run.
    """
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as name:
        folder = Path(name)
        clip = source or make_clip(folder / "clip.mp4", 1.0)
        planned = plan_video(clip, folder, settings)
        quality = _quality(clip, settings, folder)
        return {
            "format": FORMAT,
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": _machine(folder, load),
            "versions": {"vsr": version, **_versions()},
            "settings": _settings(planned.plan, settings, made_by_code=source is None),
            "speed": {
                "fps": round(found.fps, 3),
                "bound_fps": round(1 / found.bound_s, 3),
                "first_frame_seconds": round(found.first_frame_s, 1),
                "stages_ms": {stage: round(1e3 * spent, 2) for stage, spent in found.stages.items()},
                "cpu_ms": {stage: round(1e3 * spent, 2) for stage, spent in found.cpu.items()},
            },
            "quality": quality,
        }


def _machine(folder: Path, load: float) -> dict[str, Any]:
    facts = hardware_facts(make_clip(folder / "tiny.mp4", 0.2, width=128, height=96))
    try:
        cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        cpu = None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu.group(1).strip() if cpu else platform.processor() or platform.machine(),
        "cores": facts.cores,
        "instructions": [
            facts.capability,
            *(name for name, there in (("AMX", facts.amx), ("AVX512-BF16", facts.avx512_bf16)) if there),
        ],
        "memory_gb": round(usable_memory() / 1e9, 1),
        "gpus": [str(device["name"]) for device in facts.cuda],
        "load_before": round(load, 1),
    }


def _versions() -> dict[str, str]:
    here = {library.name: library.version for library in libraries()}
    return {"python": platform.python_version(), **{name: here[name] for name in _LIBRARIES if name in here}}


def _settings(plan: Plan, settings: RunSettings, *, made_by_code: bool) -> dict[str, Any]:
    return {
        "clip": "made by code" if made_by_code else "own",
        "source_size": [plan.width, plan.height],
        "size": [plan.out_width, plan.out_height],
        "networks": [stage.card.name for stage in plan.stages],
        "device": settings.device,
        "precision": plan.precision,
        "encoder": plan.encoder.name,
        "encoder_options": dict(plan.encoder.options),
        "pixel_format": plan.out_pix_fmt,
    }


def _quality(clip: Path, settings: RunSettings, folder: Path) -> dict[str, Any]:
    """VMAF-NEG and bit rate of a copy of half the size after a run, against the clip."""
    truth, half = folder / "truth.mkv", folder / "half.mkv"
    _write_halved(clip, truth, half)
    result = folder / "judged.mkv"
    alike = replace(settings, target=TargetSettings(scale=2), range=None)
    done = next(e for e in upscale_video(half, result, alike) if isinstance(e, Finished))
    compared = next(e for e in compare(truth, result, worst=0) if isinstance(e, Compared))
    (figures,) = compared.figures
    with open_source(truth) as container:
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        seconds = done.frames / float(stream.average_rate or 24)
    return {
        "size": [width, height],
        "frames": done.frames,
        "vmaf_neg": round(figures.overall["vmaf_neg"], 2),
        "megabits_a_second": round(done.bytes * 8e-6 / seconds, 3),
    }


def _write_halved(clip: Path, truth: Path, half: Path) -> None:
    """The first frames of a clip, and the same at half size, by area averaging; both lossless."""
    with (
        open_source(clip) as source,
        av.open(str(truth), "w") as whole,
        av.open(str(half), "w") as small,
    ):
        film = source.streams.video[0]
        width, height = film.codec_context.width // 4 * 4, film.codec_context.height // 4 * 4
        rate = Fraction(film.average_rate or 24)
        for output, divisor in ((whole, 1), (small, 2)):
            stream = output.add_stream("ffv1", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width // divisor, height // divisor, "yuv420p"
            stream.codec_context.time_base = 1 / rate
        decoder = open_decoder(film)
        frames = (frame for packet in packets_of(source, clip, film) for frame in decoder.decode(packet))
        for number, frame in enumerate(itertools.islice(frames, _JUDGED_FRAMES)):
            for output, divisor in ((whole, 1), (small, 2)):
                made = frame.reformat(
                    width // divisor, height // divisor, "yuv420p", interpolation="AREA", threads=1
                )
                made.pts, made.time_base = number, 1 / rate
                output.mux(output.streams.video[0].encode(made))
        for output in (whole, small):
            output.mux(output.streams.video[0].encode(None))


def load_average() -> float:
    """Average number of runnable processes in the last minute; 0 if the system doesn't report it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
