"""`HardwareTester`: a worker that tests the devices, encoders and decoders of this machine.

In a child process, because a broken driver may crash it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import torch
from av.codec.hwaccel import HWAccel, hwdevices_available

from pipelines.hardware.resources import usable_cores
from pipelines.inference.device import bf16_units, choose_device, device_name, numerics_class
from pipelines.media.demuxer import GUARDS, open_decoder
from pipelines.workers.messages import HardwareFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HardwareTester"]


_MAKERS = ("_nvenc", "_qsv", "_amf", "_vaapi", "_videotoolbox", "_vulkan", "_v4l2m2m", "_mf")
_SIDE_PX = 256
"""Side of the test image: hardware refuses small ones."""


class HardwareTester:
    """Tests the hardware once."""

    def __init__(self, setup: object) -> None:
        del setup
        self._device = choose_device("auto")
        self.facts = numerics_class(self._device)

    def run(self, task: str, pieces: Iterator[Any]) -> Iterator[HardwareFacts]:
        """Yield the findings. task: path of a short H.264 clip."""
        del pieces
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else range(0)
        properties = [torch.cuda.get_device_properties(n) for n in devices]
        amx, avx512_bf16 = bf16_units()
        yield HardwareFacts(
            cores=usable_cores(),
            capability=torch.backends.cpu.get_cpu_capability(),
            amx=amx,
            avx512_bf16=avx512_bf16,
            dtype=self.facts["dtype"],
            cuda_build=torch.version.cuda or "",
            cuda=tuple(
                {"name": p.name, "compute": f"{p.major}.{p.minor}", "memory_bytes": p.total_memory}
                for p in properties
            ),
            accelerator="" if self._device.type in {"cpu", "cuda"} else device_name(self._device),
            encoders=tuple(
                n for n in sorted(av.codec.codecs_available) if n.endswith(_MAKERS) and _encodes(n)
            ),
            decoders=tuple(n for n in hwdevices_available() if _decodes(n, task)),
        )


def _encodes(name: str) -> bool:
    """Whether the encoder opens and encodes a grey image. False also for decoders of that name."""
    try:
        formats = {f.name for f in av.codec.Codec(name, "w").video_formats or []}
        context: Any = av.CodecContext.create(name, "w")
        context.width = context.height = _SIDE_PX
        context.pix_fmt = "yuv420p" if "yuv420p" in formats else "nv12"
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        frame = av.VideoFrame(_SIDE_PX, _SIDE_PX, context.pix_fmt)
        for plane in frame.planes:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = 0
        return bool([*context.encode(frame), *context.encode(None)])
    except Exception:  # noqa: BLE001 - whatever it says, it can't be used
        return False


def _decodes(kind: str, clip: str) -> bool:
    """Whether a device of that kind decodes the first frame of a clip."""
    try:
        accelerator = HWAccel(device_type=kind, allow_software_fallback=False)
        with av.open(clip, options=GUARDS, hwaccel=accelerator) as container:
            stream = container.streams.video[0]
            decoder = open_decoder(stream)
            return any(decoder.decode(packet) for packet in container.demux(stream)) and bool(
                decoder.is_hwaccel
            )
    except Exception:  # noqa: BLE001 - as above
        return False
