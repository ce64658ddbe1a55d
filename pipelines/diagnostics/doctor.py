"""`examine`: checks whether a run would work here, and says how to fix it if not.

Imports are inside functions: a missing library is a finding, not a traceback.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.catalog.lookup import cards, default_model
from models.errors import VsrError
from models.sandbox import physical_memory
from pipelines.diagnostics.dependencies import libraries
from pipelines.hardware.resources import usable_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.workers.messages import HardwareFacts

__all__ = ["Finding", "examine"]


_LEAST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 64 << 20
_AMPLE_FREE_BYTES = 20 * 10**9
"""Space for the chunks and the output of a two-hour film in 4K."""
_AMPLE_MEMORY_BYTES = 4 * 10**9
"""1080p to 4K needs less than three quarters of this."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    text: str
    level: Literal["ok", "advice", "problem"] = "ok"
    """advice: a run works, but could be better; problem: it would fail."""
    remedy: str = ""
    """How to fix it."""
    facts: dict[str, Any] = field(default_factory=dict)


def examine(folder: Path) -> Iterator[Finding]:
    """Check this machine, and `folder` as the place of an output; yields each finding at once.

    The last one is for a run of a tiny synthetic clip, from file to file. Nothing is left in the folder.
    """
    yield _python()
    missing = False
    for library in libraries():
        facts = {"name": library.name, "version": library.version, "wanted": library.wanted}
        text = f"{library.name} {library.version or 'is missing'}"
        if library.fits:
            yield Finding("library", text, facts=facts)
        else:
            missing = missing or not library.version
            yield Finding(
                "library",
                f"{text}; {library.wanted} is needed",
                "problem",
                f"pip install '{library.wanted}'",
                facts,
            )
    yield _memory()
    yield _disk(folder)
    yield _ray()
    if missing:
        return  # the other checks would only repeat this
    yield from _ffmpeg()
    from pipelines.diagnostics.benchmark import make_clip

    with _place(folder) as place:
        clip = make_clip(Path(place) / "clip.mp4", 0.5, width=128, height=96)
        yield from _hardware(clip)
        yield _run(clip, Path(place))


def _python() -> Finding:
    version = platform.python_version()
    text = f"Python {version} on {platform.system()} {platform.machine()}"
    facts = {"python": version, "system": platform.system(), "machine": platform.machine()}
    if sys.version_info[:2] < _LEAST_PYTHON:
        return Finding(
            "python", text, "problem", f"install Python {'.'.join(map(str, _LEAST_PYTHON))} or newer", facts
        )
    return Finding("python", text, facts=facts)


def _ffmpeg() -> Iterator[Finding]:
    """PyAV with our encoders opened, and the FFmpeg program for metrics."""
    import av

    from pipelines.codec.encoder import try_encoder
    from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder
    from pipelines.media.cicp import ColorTags
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.settings.run_settings import CODECS, EncodeSettings

    version = av.ffmpeg_version_info
    refused = {}
    for codec in CODECS:
        try:
            encoder = choose_encoder(
                EncodeSettings(codec=codec),
                PixelFormat.parse("yuv420p"),
                EncoderTarget(256, 256, "matroska"),
            )
            try_encoder(encoder, ColorTags(1, 1, 1, 1, 1))
        except (VsrError, ValueError) as error:
            refused[codec] = str(error)
    opened = [c for c in CODECS if c not in refused]
    facts = {
        "version": version,
        "libraries": {k: ".".join(map(str, v)) for k, v in av.library_versions.items()},
        "encoders": opened,
    }
    text = f"FFmpeg {version} in PyAV; encodes {', '.join(opened) or 'nothing'}"
    if "hevc" not in opened:
        yield Finding(
            "ffmpeg",
            f"{text}; not HEVC: {refused['hevc']}",
            "problem",
            "pip install --force-reinstall --only-binary av av",
            facts,
        )
    elif refused:
        yield Finding(
            "ffmpeg",
            text,
            "advice",
            f"--codec {', '.join(refused)} can't be used with this PyAV; its wheels have all",
            facts,
        )
    else:
        yield Finding("ffmpeg", text, facts=facts)
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
        number = imageio_ffmpeg.get_ffmpeg_version()
        listed = subprocess.run(
            [program, "-hide_banner", "-filters"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        yield Finding(
            "ffmpeg",
            f"no FFmpeg program: {error}",
            "advice",
            "only `vsr evaluate --metric vmaf` needs it: pip install imageio-ffmpeg",
        )
        return
    filters = [n for n in ("libvmaf", "xpsnr") if f" {n} " in listed]
    facts = {"version": number, "path": program, "filters": filters}
    yield Finding(
        "ffmpeg",
        f"FFmpeg {number} in imageio-ffmpeg; judges by {', '.join(filters) or 'nothing'}",
        facts=facts,
    )


def _memory() -> Finding:
    total, machine = usable_memory(), physical_memory()
    limit = f", the limit of this container; the machine has {machine / 1e9:.1f}" if total < machine else ""
    text, facts = f"{total / 1e9:.1f} GB of memory{limit}", {"bytes": total, "machine_bytes": machine}
    if total < _AMPLE_MEMORY_BYTES:
        return Finding(
            "memory",
            text,
            "advice",
            "1080p to 4K takes about 3 GB; end other programs, or begin with --scale 2",
            facts,
        )
    return Finding("memory", text, facts=facts)


def _disk(folder: Path) -> Finding:
    """Try the disk operations of an output and its work directory."""
    remedy = "choose another folder by -o"
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryDirectory(prefix=".vsr-doctor-", dir=folder) as place:
            partial = Path(place) / "partial"
            with open(partial, "wb") as file:
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, Path(place) / "named")
    except OSError as error:
        return Finding(
            "disk",
            f"{folder}: can't be written: {error.strerror}",
            "problem",
            remedy,
            {"folder": str(folder), "free_bytes": 0},
        )
    text, facts = (
        f"{folder}: {free / 1e9:.1f} GB free, for results and work directories",
        {"folder": str(folder), "free_bytes": free},
    )
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", text, "problem", f"free some space, or {remedy}", facts)
    if free < _AMPLE_FREE_BYTES:
        return Finding(
            "disk",
            text,
            "advice",
            f"a long film may need more: `vsr plan` tells; `vsr clean` deletes abandoned work, or {remedy}",
            facts,
        )
    return Finding("disk", text, facts=facts)


def _ray() -> Finding:
    if importlib.util.find_spec("ray") is None:
        return Finding(
            "cluster", "no Ray: --cluster can't be used", "advice", "pip install ray", {"ray": False}
        )
    address = os.environ.get("RAY_ADDRESS", "")
    return Finding(
        "cluster",
        f"Ray is there{f', RAY_ADDRESS is {address}' if address else ''}",
        facts={"ray": True, "address": address},
    )


def hardware_facts(clip: Path) -> HardwareFacts:
    """Hardware found by a worker process. clip: a short H.264 clip to test decoders.

    Raises VsrError if torch can't be used.
    """
    from pipelines.pool.interface import Task, WorkItem
    from pipelines.pool.process_pool import ProcessPool
    from pipelines.workers.messages import WorkerKind

    found: list[HardwareFacts] = [
        outcome.value
        for outcome in ProcessPool([{}]).run_tasks(
            [Task(0, "what this machine has", str(clip))],
            worker=str(WorkerKind.HARDWARE),
            setup=None,
            feed=lambda *_: [],
        )
        if isinstance(outcome, WorkItem)
    ]
    return found[0]


def _hardware(clip: Path) -> Iterator[Finding]:
    from pipelines.hardware.resources import cuda_devices

    try:
        found = hardware_facts(clip)
    except VsrError as error:
        yield Finding(
            "cpu",
            f"torch can't be used: {error}",
            "problem",
            "reinstall torch for this machine: pytorch.org/get-started",
        )
        return
    yield from findings_of_hardware(found, cuda_devices())
    yield from _encoders()


def _encoders() -> Iterator[Finding]:
    """Run the self-test of every GPU encoder that this machine may have."""
    from pipelines.encoders.encoder_choice import forget_self_tests, self_tested
    from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder
    from pipelines.hardware.graphics_driver import encoder_hardware, vendors_here
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.settings.encoder_spec import HARDWARE_CODECS
    from pipelines.settings.run_settings import EncodeSettings

    forget_self_tests()
    for vendor in vendors_here():
        for codec in HARDWARE_CODECS:
            if (codec, vendor) == ("av1", "videotoolbox"):
                continue
            settings = EncodeSettings(codec=codec, encoder=vendor)
            encoder = choose_encoder(
                settings, PixelFormat.parse("yuv420p"), EncoderTarget(512, 288, "matroska")
            )
            encoder, flaw = self_tested(encoder)
            facts = {"encoder": encoder.name, "hardware": encoder_hardware(vendor), "flaw": flaw}
            if flaw:
                remedy = "software encodes in its place; another driver may do better"
                yield Finding("encoder", f"{encoder.name} can't be used: {flaw}", "advice", remedy, facts)
            else:
                yield Finding(
                    "encoder",
                    f"{encoder.name} gives back all it is given, twice the same ({encoder_hardware(vendor)})",
                    facts=facts,
                )


def findings_of_hardware(found: HardwareFacts, listed: list[str]) -> Iterator[Finding]:
    """Findings from hardware facts; listed: CUDA devices named by the driver or the environment."""
    features = [n for n, there in (("AMX", found.amx), ("AVX-512-BF16", found.avx512_bf16)) if there]
    cpu = f"{found.cores} cores, {' '.join([found.capability, *features])}"
    facts = {
        "cores": found.cores,
        "capability": found.capability,
        "amx": found.amx,
        "avx512_bf16": found.avx512_bf16,
    }
    if found.dtype != "float32" or found.cuda:
        yield Finding("cpu", cpu, facts=facts)
    else:
        remedy = (
            "networks run in fp32, several times slower than on a CPU with AMX or on a GPU; --model lanczos"
            " is quick anywhere"
        )
        yield Finding("cpu", cpu, "advice", remedy, facts)
    said = ", ".join(
        f"{d['name']} (compute {d['compute']}, {d['memory_bytes'] / 1e9:.0f} GB)" for d in found.cuda
    )
    facts = {
        "devices": list(found.cuda),
        "torch_cuda": found.cuda_build,
        "accelerator": found.accelerator,
        "driver_devices": listed,
    }
    if listed and not (found.cuda or found.accelerator):
        why = (
            f"this torch (CUDA {found.cuda_build}) can't use it"
            if found.cuda_build
            else "this torch has no CUDA"
        )
        remedy = "install a torch that fits the driver: pytorch.org/get-started; until then the CPU is used"
        yield Finding(
            "gpu", f"{len(listed)} CUDA device{'s' * (len(listed) > 1)}, but {why}", "advice", remedy, facts
        )
    else:
        said = said or found.accelerator or "none that torch can use: networks run on the CPU"
        yield Finding("gpu", said, facts=facts)
    hardware = [*(f"{n} encodes" for n in found.encoders), *(f"{n} decodes" for n in found.decoders)]
    text = (
        f"in hardware: {', '.join(hardware) or 'nothing'}; vsr decodes in software, and encodes with what"
        " passes the self-test"
    )
    yield Finding("codecs", text, facts={"encoders": list(found.encoders), "decoders": list(found.decoders)})


def _place(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for the self-test, in the place of outputs if possible."""
    try:
        return tempfile.TemporaryDirectory(prefix=".vsr-doctor-", dir=folder)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="vsr-doctor-")


def _run(clip: Path, folder: Path) -> Finding:
    from pipelines.plan.events import Finished
    from pipelines.run.job import upscale_video
    from pipelines.settings.run_settings import RunSettings, TargetSettings

    began = time.monotonic()
    model = default_model()
    if not any(c.sha256 for c in cards() if c.family == model):
        return Finding(
            "self-test",
            "no trained network is there",
            "problem",
            "reinstall vsr: its networks are missing",
        )
    try:
        settings = RunSettings(target=TargetSettings(scale=2), model=model)
        done = [e for e in upscale_video(clip, folder, settings) if isinstance(e, Finished)]
    except VsrError as error:
        return Finding(
            "self-test",
            f"a run of a tiny clip failed: {error}",
            "problem",
            "see what is said above it, then try again",
        )
    seconds = time.monotonic() - began
    text = (
        f"{done[0].frames} frames went from file to file through {model} and were verified, in"
        f" {seconds:.1f} s"
    )
    return Finding(
        "self-test", text, facts={"frames": done[0].frames, "model": model, "seconds": round(seconds, 2)}
    )
