"""`Upscaler`: runs the networks of a plan on frames of planes, on the CPU or a GPU.

Planes are transferred at their own bit depth; all arithmetic is float, the residual add and the rounding in
fp32.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.network import Contract
from pipelines.inference.cascade import Cascade
from pipelines.inference.code_padding import cropped, even_sizes, filled, padded, turned
from pipelines.inference.cuda.cuda_graph import GraphedNetwork, record_cuda_graph
from pipelines.inference.cuda.cuda_pipeline import CudaPipeline, NetworkInput
from pipelines.inference.cuda.transfer_ring import StreamAccelerator
from pipelines.inference.device import computing_dtype, device_traits
from pipelines.inference.direct_stage import DirectStage, integer_error
from pipelines.inference.grain_synthesis import GrainMaker
from pipelines.inference.stage_loading import load_stage, memory_format
from pipelines.inference.stage_tiles import resizer_of, tiles_of
from pipelines.inference.temporal_windows import Window, single_frame_window
from pipelines.inference.tile_cache import TileCache
from pipelines.inference.tile_threads import TileThreadPool
from pipelines.media.cicp import SITING_OFFSETS, Range, Siting
from pipelines.media.video_info import Frame
from pipelines.plan.tiling import YUV_TILE_PX, Tile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from models.network import LoadedNetwork
    from pipelines.inference.cuda.transfer_ring import Accelerator
    from pipelines.plan.plan import Plan

__all__ = ["Upscaler"]


_BANDS = 4
"""Number of bands of a frame that a classical scaler after a network on a GPU processes at a time."""


class Upscaler:
    """The networks of a plan, loaded on a device."""

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        *,
        accelerator: Accelerator | None = None,
        beside: Upscaler | None = None,
    ) -> None:
        """Load every network of the plan. Raises MediaError if weights are not those of the plan.

        accelerator: keeps several frames in flight; default on CUDA: the device itself.
        beside: another upscaler for the same film; it shares its `stills` and `notes`.
        """
        self._plan, self.device = plan, device
        self.dtype = computing_dtype(device, plan.precision)
        self.stills: TileCache = TileCache() if beside is None else beside.stills
        self.notes: list[str] = [] if beside is None else beside.notes
        """Messages for the user; the reader empties the list."""
        self._source, self._target = plan.pixels, plan.out_pixels
        self._offset = SITING_OFFSETS[Siting(plan.color.siting)]
        stages = [(s, load_stage(s, self._offset)) for s in plan.stages]
        self._networks = [n for s, n in stages if s.card.name != "identity"]
        self._layers = 0
        for network in self._networks:
            if network.contract.pixels == "rgb":
                self._count_layers(network)
            network.module.to(device, memory_format=memory_format(plan, device))  # type: ignore[attr-defined]
            if hasattr(network.module, "prepare"):
                self.notes += network.module.prepare(device)
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = False  # its choice of algorithm depends on a timing
            torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
        if device_traits(device).streams:
            accelerator = accelerator or StreamAccelerator(device)
        self._lanes = TileThreadPool(self._tiles_at_once(), small_maps=self._is_direct())
        self._cascade = Cascade(plan, self._networks, device, self.dtype, self._lanes, self.notes)
        self._resizer = resizer_of(plan, self._networks) if self._is_direct() else None
        self._bands = self._lanes if self._resizer is None or device.type == "cpu" else TileThreadPool(_BANDS)
        self._resized: list[np.ndarray] | None = None
        self._direct = self._direct_stages()
        self._grain = GrainMaker(plan)
        self._accelerated = self._accelerated_way(accelerator)

    @property
    def contract(self) -> Contract:
        """Contract of the first network, the only one that may use neighbouring frames."""
        return self._networks[0].contract if self._networks else Contract(scale=1, pixels="yuv420")

    @property
    def facts(self) -> dict[str, str]:
        """Further facts that affect bits, besides torch's numerics class.

        They name the runtime of networks that don't run in torch.
        """
        found: dict[str, str] = {}
        for network in self._networks:
            found |= getattr(network.module, "facts", {})
        return found

    @property
    def pulse(self) -> int:
        """Counts tiles, and layers of large networks, some of which process a whole frame at once."""
        return self._lanes.done + self._layers

    def _count_layers(self, network: LoadedNetwork) -> None:
        def count(*_: object) -> None:
            self._layers += 1

        for layer in network.module.modules():  # type: ignore[attr-defined]
            if not any(layer.children()):
                layer.register_forward_hook(count)

    @property
    def runs_ahead(self) -> bool:
        """Whether `stream` keeps several frames in flight."""
        return self._accelerated is not None

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        """Upscale frames separately, each with its own timestamp; order and number are kept."""
        return [made for _, made in self.stream(single_frame_window(f, self.contract) for f in frames)]

    def stream(self, windows: Iterable[Window]) -> Iterator[tuple[Window, Frame]]:
        """Upscale windows (a frame and its neighbours) in order, and yield (window, upscaled frame).

        On CUDA, a few windows are read in advance.
        """
        if self._accelerated is None:
            for window in windows:
                yield window, self.follow(window)
            return
        network = self._networks[0]

        def views() -> Iterator[NetworkInput]:
            for window in windows:
                upright = [turned(f.planes, self._plan.orientation) for f in window.frames]
                sizes = even_sizes(upright[0][0].shape, network.contract.size_multiple)
                yield NetworkInput(
                    window, [padded(planes, sizes) for planes in upright], window.now, window.starts
                )

        size = self._plan.height, self._plan.width
        for window, planes in self._accelerated(views()):
            made = cropped(planes, size, network.contract.scale)
            made = self._resizer(made, self._bands.map) if self._resizer else made
            yield window, self._finished(window, made)

    def follow(self, window: Window) -> Frame:
        """Upscale the next frame of a film, and wait for it."""
        if self._accelerated is not None:
            ((_, made),) = self.stream([window])
            return made
        upright = [turned(f.planes, self._plan.orientation) for f in window.frames]
        if window.starts:
            self._cascade.forget()
            for stage in self._direct:
                stage.forget()
        if not self._networks and self._keeps_samples():
            planes = upright[window.now]
        elif self._direct:
            planes = self._directly(upright, window.now)
        else:
            planes = self._cascade(upright, window.now)
        return self._finished(window, planes)

    def _directly(self, frames: Sequence[Sequence[np.ndarray]], now: int) -> list[np.ndarray]:
        """Compute the same result as the cascade, up to rounding, from integers to integers."""
        for stage in self._direct:
            planes = stage(frames, now)
            frames, now = [planes], 0
        if self._resizer is None:
            return planes
        if self._direct[-1].has_changed or self._resized is None:
            self._resized = self._resizer(planes, self._bands.map)
        return self._resized

    def _finished(self, window: Window, planes: Sequence[np.ndarray]) -> Frame:
        size = self._plan.out_height, self._plan.out_width
        return self._grain(replace(window.frame, planes=filled(planes, self._target, size)))

    def turned(self, frame: Frame) -> Frame:
        """The upright frame."""
        turn = self._plan.orientation
        return replace(frame, planes=turned(frame.planes, turn)) if turn else frame

    def _keeps_samples(self) -> bool:
        """Whether planes that no network processes keep their format.

        They do if source and output have the same kind of planes and the same siting, also after rotation.
        """
        plan, fmt = self._plan, self._source
        turned = plan.orientation and (
            plan.source_offset != self._offset or (plan.orientation.transpose and fmt.sub_x != fmt.sub_y)
        )
        return (
            plan.pix_fmt == plan.out_pix_fmt
            and plan.color == plan.out_color
            and not (turned and (fmt.sub_x or fmt.sub_y))
        )

    def _is_direct(self) -> bool:
        """Whether YUV-native networks run between 4:2:0 planes with their siting.

        Every tile can then be processed from integers to integers. A classical scaler may follow. Several
        networks are run this way on a CPU only.
        """
        return self._plan.is_direct and (
            self.device.type == "cpu" or sum(not n.classical for n in self._networks) == 1
        )

    def _direct_stages(self) -> list[DirectStage]:
        """The networks to be run from integers to integers; none if that is not possible.

        Raises UsageError if the plan says int8 and they can't.
        """
        plan, networks = self._plan, self._networks
        if not self._is_direct():
            if plan.precision == "int8":
                raise integer_error(networks)
            return []
        from pipelines.frames.plane_resizer import between_bits  # numba: a tenth of a second to load

        finer = [0, *[between_bits(self._source.bits)] * (len(networks) - 1), 0]
        return [
            DirectStage(
                plan,
                network,
                self._cascade.run,
                self._lanes,
                TileCache() if number else self.stills,
                self.notes,
                self.device,
                self.dtype,
                finer[number],
                finer[number + 1],
            )
            for number, network in enumerate(networks)
            if not network.classical
        ]

    def _accelerated_way(self, accelerator: Accelerator | None) -> CudaPipeline | None:
        """The direct path with several frames in flight.

        Networks that need the position of their tile are processed one by one.
        """
        if (
            accelerator is None
            or not self._is_direct()
            or self._networks[0].contract.placed
            or not self._networks[0].contract.recordable
        ):
            return None
        network, finer = self._networks[0], self._direct[0].finer_out
        full = self._plan.color.range == Range.FULL
        record = record_cuda_graph if device_traits(self.device).graphs else None
        graphed = GraphedNetwork(
            network, self._source.bits, full=full, dtype=self.dtype, record=record, finer=finer
        )
        return CudaPipeline(
            network,
            graphed,
            accelerator,
            self.stills,
            self._tiles,
            self._direct[0].is_black,
            self.notes,
            finer,
        )

    def _tiles(self, height: int, width: int) -> list[Tile]:
        """Tiles of the first network's input."""
        return tiles_of(self._plan, self._networks[0], (height, width))

    def _tiles_at_once(self) -> int:
        """All tiles of the first network.

        Only one tile if tiles are small for lack of memory, or the device is not a CPU.
        """
        plan = self._plan
        if (
            self.device.type != "cpu"
            or not self._networks
            or math.prod(plan.tile_px) < math.prod(YUV_TILE_PX)
        ):
            return 1
        return sum(not tile.in_bar for tile in self._tiles(plan.height, plan.width))
