"""`Cascade`: runs the networks of a plan on frames of any pixel format, as float values.

YUV-native networks between 4:2:0 planes have a faster path on a CPU (`direct_stage`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.layers.resampling import resample, upscale_plane
from pipelines.frames.color_conversion import rgb_to_yuv, to_codes, to_float, yuv_to_rgb
from pipelines.inference.output_checks import TileStatistics, bad_output_error, find_fault, value_statistics
from pipelines.inference.stage_tiles import tiles_of
from pipelines.media.cicp import SITING_OFFSETS, Matrix, Range, Siting
from pipelines.plan.color_tags import chroma_offset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.network import LoadedNetwork
    from pipelines.inference.tile_threads import TileThreadPool
    from pipelines.plan.plan import Plan
    from pipelines.plan.tiling import Tile

__all__ = ["EVEN", "Cascade", "classical"]


_LEFT = SITING_OFFSETS[Siting.LEFT]
EVEN = 4 / 255
"""Largest difference of samples in a black bar: what an encoder leaves there."""


@dataclass
class FrameBatch:
    """A batch of frames in processing.

    Luma (B,1,H,W), chroma (B,2,h,w) or None for grey, alpha (B,1,H,W) or None.
    """

    luma: Tensor
    chroma: Tensor | None
    alpha: Tensor | None
    siting: tuple[float, float] = (0.0, 0.0)
    """(vertical, horizontal), as in SITING_OFFSETS."""
    sub: tuple[int, int] = (1, 1)
    """Luma samples per chroma sample, (vertical, horizontal): 1, 2 or 4. They can't be derived from the
    sizes: 3 samples divided by 2 or 4 give 2 and 1."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of luma."""
        return self.luma.shape[-2], self.luma.shape[-1]

    @property
    def offset(self) -> tuple[float, float]:
        """Siting of `chroma` in chroma samples; 0 along an axis that is not subsampled."""
        return chroma_offset(self.siting, self.sub)

    def chroma_at(self, sub: tuple[int, int], offset: tuple[float, float], kernel: str) -> Tensor:
        """Chroma resampled to one sample per `sub` luma samples, at that offset; neutral for grey."""
        rows, columns = (-(-n // by) for n, by in zip(self.size, sub, strict=True))
        if self.chroma is None:
            return self.luma.new_zeros(self.luma.shape[0], 2, rows, columns)
        ratios = (sub[0] / self.sub[0], sub[1] / self.sub[1])
        return resample(
            self.chroma, rows, columns, kernel, offset=self.offset, out_offset=offset, ratios=ratios
        )


class Cascade:
    """The networks one after another, each tile by tile; keeps the state of the first one."""

    def __init__(
        self,
        plan: Plan,
        networks: Sequence[LoadedNetwork],
        device: torch.device,
        dtype: torch.dtype,
        lanes: TileThreadPool,
        notes: list[str],
    ) -> None:
        """dtype: precision of networks that allow it. notes: list that collects messages for the user."""
        self._plan, self._networks, self._device, self._dtype, self._lanes, self._notes = (
            plan,
            networks,
            device,
            dtype,
            lanes,
            notes,
        )
        self._source, self._target = plan.pixels, plan.out_pixels
        self._state: Tensor | None = None

    def forget(self) -> None:
        """Drop the state: it belongs to another shot."""
        self._state = None

    @torch.inference_mode()
    def __call__(self, frames: Sequence[Sequence[np.ndarray]], now: int) -> list[np.ndarray]:
        """Planes of a frame and its neighbours, upright -> planes of the result.

        Raises VerificationError if a network's output can't be an image.
        """
        picture = self._load(frames[now : now + 1])
        neighbours = self._load(frames) if len(frames) > 1 else picture
        for network in self._networks:
            before = self._state
            made = self._through(network, picture, neighbours)
            if not network.classical:
                trouble = find_fault([_statistics(picture, made)])
                if trouble:
                    self._state = before
                    made = self._through(network, picture, neighbours, precise=True)
                    still = find_fault([_statistics(picture, made)])
                    if still:
                        raise bad_output_error(network.name, still)
                    self._notes.append(f"{network.name} gave {trouble}; the frame was computed again in fp32")
            picture = made if network.classical else self._softened(picture, made, network.contract.kernel)
            neighbours = picture
        return self._store(picture)[0]

    def _load(self, batch: Sequence[Sequence[np.ndarray]]) -> FrameBatch:
        """Convert planes to values: luma and chroma; R'G'B' sources by BT.709's weights."""
        fmt, full = self._source, self._plan.color.range == Range.FULL

        def stack(number: int, *, chroma: bool = False, is_full: bool = full) -> Tensor:
            planes = [
                to_float(p[number], fmt.bits, is_full, chroma=chroma, device=self._device) for p in batch
            ]
            return torch.stack(planes)[:, None]

        alpha = stack(fmt.plane_count - 1, is_full=True) if fmt.alpha and self._target.alpha else None
        if fmt.family == "gray":
            return FrameBatch(stack(0), None, alpha)
        if fmt.family == "rgb":
            green, blue, red = stack(0), stack(1), stack(2)
            luma, chroma = rgb_to_yuv(torch.cat([red, green, blue], 1), self._matrix)
            return FrameBatch(luma, chroma, alpha)
        chroma = torch.cat([stack(1, chroma=True), stack(2, chroma=True)], 1)
        return FrameBatch(stack(0), chroma, alpha, self._plan.source_offset, self._source_sub)

    @property
    def _source_sub(self) -> tuple[int, int]:
        """Luma samples per chroma sample of the rotated planes, (vertical, horizontal)."""
        sub = 1 << self._source.sub_y, 1 << self._source.sub_x
        return sub[::-1] if self._plan.orientation.transpose else sub

    @property
    def _matrix(self) -> int:
        return Matrix.BT709 if self._plan.color.matrix == Matrix.RGB else self._plan.color.matrix

    def _through(
        self, network: LoadedNetwork, picture: FrameBatch, neighbours: FrameBatch, *, precise: bool = False
    ) -> FrameBatch:
        """Run one stage.

        Planes that the network doesn't process (full-size chroma, alpha) are resized by its classical kernel.
        neighbours: the frame with those that the network uses, as a batch, oldest first.
        """
        contract = network.contract
        if network.classical:
            return self._resized(network, picture)
        if contract.pixels == "rgb":
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at((1, 1), (0.0, 0.0), "bicubic"), self._matrix)
            (out,) = self._tiled(network, [rgb], precise=precise)
            luma, chroma = rgb_to_yuv(out, self._matrix)
            return FrameBatch(
                luma,
                chroma if picture.chroma is not None else None,
                self._resized_alpha(picture, luma, contract.kernel),
            )
        height, width = picture.size
        half = (-(-height // 2), -(-width // 2))
        seen = neighbours if contract.temporal else picture
        around = [
            seen.luma.transpose(0, 1),
            seen.chroma_at((2, 2), _LEFT, contract.kernel).flatten(0, 1)[None],
        ]
        luma, chroma = self._tiled(network, around, precise=precise)
        alpha = self._resized_alpha(picture, luma, contract.kernel)
        if picture.sub == (2, 2):
            return FrameBatch(luma, chroma, alpha, _LEFT, (2, 2))
        if self._plan.full_chroma and picture.chroma is not None and not contract.temporal:
            return replace(
                picture,
                luma=luma,
                chroma=self._full_chroma(network, picture.chroma, half, precise=precise),
                alpha=alpha,
            )
        return replace(
            picture, luma=luma, chroma=self._resized_chroma(picture, luma, contract.kernel), alpha=alpha
        )

    def _full_chroma(
        self, network: LoadedNetwork, chroma: Tensor, half: tuple[int, int], *, precise: bool
    ) -> Tensor:
        """Run (B,2,H,W) chroma through a network plane by plane, in place of luma, with neutral chroma."""
        neutral = chroma.new_zeros(chroma.shape[0], 2, *half)
        planes = (chroma[:, :1], chroma[:, 1:])
        made = [
            self._tiled(network, [plane + 0.5, neutral], precise=precise, spare_flat=True)[0] - 0.5
            for plane in planes
        ]
        return torch.cat(made, dim=1)

    def _resized(self, network: LoadedNetwork, picture: FrameBatch) -> FrameBatch:
        """Apply a classical scaler to every plane separately."""
        kernel = network.contract.kernel
        height, width = network.module.reaches(picture.size)  # type: ignore[attr-defined]
        luma = resample(picture.luma, height, width, kernel)
        chroma, alpha = (
            self._resized_chroma(picture, luma, kernel),
            self._resized_alpha(picture, luma, kernel),
        )
        return replace(picture, luma=luma, chroma=chroma, alpha=alpha)

    def _softened(self, before: FrameBatch, made: FrameBatch, kernel: str) -> FrameBatch:
        """Blend the network's output with that of a classical filter at the same size (`Plan.strength`)."""
        strength = self._plan.strength
        if strength == 1:
            return made
        luma = torch.lerp(resample(before.luma, *made.size, kernel), made.luma, strength)
        if made.chroma is None:
            return replace(made, luma=luma)
        like = replace(
            before,
            chroma=before.chroma_at(made.sub, made.offset, kernel),
            siting=made.siting,
            sub=made.sub,
        )
        plane = self._resized_chroma(like, made.luma, kernel)
        assert plane is not None
        return replace(made, luma=luma, chroma=torch.lerp(plane, made.chroma, strength))

    def _resized_chroma(self, picture: FrameBatch, like: Tensor, kernel: str) -> Tensor | None:
        if picture.chroma is None:
            return None
        return upscale_plane(
            picture.chroma,
            picture.size,
            (like.shape[-2], like.shape[-1]),
            kernel,
            picture.offset,
            picture.sub,
        )

    def _resized_alpha(self, picture: FrameBatch, like: Tensor, kernel: str) -> Tensor | None:
        return (
            None if picture.alpha is None else resample(picture.alpha, like.shape[-2], like.shape[-1], kernel)
        )

    def _tiled(
        self, network: LoadedNetwork, planes: list[Tensor], *, precise: bool, spare_flat: bool = False
    ) -> list[Tensor]:
        """Run a network tile by tile, and join the valid parts.

        Chroma and state are half the size of luma. spare_flat: resize areas that are as even as a black bar
        classically.
        """
        contract, scale = network.contract, network.contract.scale
        height, width = planes[0].shape[-2:]
        multiple = contract.size_multiple
        padded = [_reflect(planes[0], -height % multiple, -width % multiple)]
        if contract.pixels == "yuv420":
            padded.append(_reflect_to(planes[1], padded[0].shape[-2] // 2, padded[0].shape[-1] // 2))
        if self._state is not None and contract.recurrent:
            padded.append(self._state)
        full_height, full_width = padded[0].shape[-2:]
        results: list[Tensor] = []
        parts = tiles_of(self._plan, network, (full_height, full_width))

        @torch.inference_mode()  # counts for one thread
        def made(part: Tile) -> list[Tensor]:
            inputs = [plane[(..., *part.read(full_height // plane.shape[-2]))] for plane in padded]
            if (spare_flat or part.in_bar) and all(float(x.amax() - x.amin()) <= EVEN for x in inputs):
                return classical(network, inputs)
            return self.run(network, inputs, (part.halo_top, part.halo_left), precise=precise)

        for part, outputs in zip(parts, self._lanes.map(made, parts), strict=True):
            # Luma and chroma are returned larger, a state at the same size.
            layout = [(scale, 1), (scale, 2), (1, 2)][: len(outputs)]
            if not results:
                results = [
                    o.new_empty(*o.shape[:2], full_height * s // by, full_width * s // by)
                    for o, (s, by) in zip(outputs, layout, strict=True)
                ]
            for result, output, (s, by) in zip(results, outputs, layout, strict=True):
                result[(..., *part.written(s, by))] = output[(..., *part.kept(s, by))]
        if contract.recurrent:
            self._state = results.pop()
        halves = [(height * scale, width * scale), (-(-height * scale // 2), -(-width * scale // 2))]
        return [r[..., : h[0], : h[1]] for r, h in zip(results, halves, strict=False)]

    def run(
        self, network: LoadedNetwork, inputs: list[Tensor], at: tuple[int, int], *, precise: bool = False
    ) -> list[Tensor]:
        """Run a network on a tile that begins at pixel `at`. precise: compute in fp32.

        inputs: rgb, or luma, chroma and optionally a state. Returns float32 outputs of the same kind.
        """
        contract = network.contract
        allowed = contract.low_precision_at(max(self._source.bits, self._target.bits))
        low = self._dtype if allowed and not precise and self._dtype is not torch.float32 else None
        context: contextlib.AbstractContextManager[object] = (
            torch.autocast(self._device.type, low) if low else contextlib.nullcontext()
        )
        with context:
            if network.contract.pixels == "rgb":
                module: Callable[[Tensor], Tensor] = network.module  # type: ignore[assignment]
                return [module(inputs[0].contiguous(memory_format=torch.channels_last)).float()]
            planes = (inputs[0], inputs[1])
            if contract.recurrent:
                (luma, chroma), state = network.module(planes, inputs[2] if len(inputs) > 2 else None)  # type: ignore[call-arg]
                return [luma.float(), chroma.float(), state]
            where = {"at": at} if network.contract.placed else {}
            luma, chroma = network.module(planes, **where)
            return [luma.float(), chroma.float()]

    def _store(self, picture: FrameBatch) -> list[list[np.ndarray]]:
        """Convert values to planes of the target format, one list per frame."""
        fmt, color = self._target, self._plan.out_color
        if fmt.family == "yuv" and color.matrix != self._matrix and picture.chroma is not None:
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at((1, 1), (0.0, 0.0), "bicubic"), self._matrix)
            luma, chroma = rgb_to_yuv(rgb, color.matrix)
            picture = FrameBatch(luma, chroma, picture.alpha)
        if fmt.family == "rgb":
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at((1, 1), (0.0, 0.0), "bicubic"), self._matrix)
            channels = [rgb[:, 1], rgb[:, 2], rgb[:, 0]]
        else:
            channels = [picture.luma[:, 0]]
        chroma_like = [False] * len(channels)
        if fmt.family == "yuv":
            sub = (1 << fmt.sub_y, 1 << fmt.sub_x)
            offset = chroma_offset(SITING_OFFSETS[Siting(color.siting)], sub)
            chroma = picture.chroma_at(sub, offset, "bicubic")
            channels += [chroma[:, 0], chroma[:, 1]]
            chroma_like += [True, True]
        full = [color.range == Range.FULL] * len(channels)
        if fmt.alpha:
            channels.append(
                picture.alpha[:, 0] if picture.alpha is not None else torch.ones_like(picture.luma[:, 0])
            )
            chroma_like.append(False)
            full.append(True)
        result = []
        for i in range(picture.luma.shape[0]):
            planes = [
                to_codes(c[i], fmt.bits, f, chroma=k)
                for c, f, k in zip(channels, full, chroma_like, strict=True)
            ]
            result.append(planes)
        return result


def classical(network: LoadedNetwork, inputs: list[Tensor]) -> list[Tensor]:
    """A classical substitute for a network's output on an even black tile."""
    scale, kernel = network.contract.scale, network.contract.kernel
    return [
        resample(x, x.shape[-2] * scale, x.shape[-1] * scale, kernel, offset=_LEFT if n else (0.0, 0.0))
        for n, x in enumerate(inputs)
    ]


def _reflect(plane: Tensor, bottom: int, right: int) -> Tensor:
    if not bottom and not right:
        return plane
    mode = "reflect" if bottom < plane.shape[-2] and right < plane.shape[-1] else "replicate"
    return F.pad(plane, (0, right, 0, bottom), mode=mode)


def _reflect_to(plane: Tensor, height: int, width: int) -> Tensor:
    return _reflect(plane, height - plane.shape[-2], width - plane.shape[-1])


def _statistics(seen: FrameBatch, made: FrameBatch) -> TileStatistics:
    return value_statistics(seen.luma, made.luma, made.chroma)
