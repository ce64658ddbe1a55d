"""`Upscaler`: where the networks run. Frames of planes in, frames of planes out, on the CPU or on a CUDA device.

Planes travel in their own bit depth; all arithmetic is float, the residual add and the rounding in fp32.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.catalog import load_network
from models.errors import UsageError
from models.interpolation import resample, upscale_plane
from models.network import Contract, refuse_nonsense
from pipelines.color import rgb_to_yuv, to_codes, to_float, yuv_to_rgb
from pipelines.fused import FusedNetwork
from pipelines.grain import GrainMaker
from pipelines.stills import Stills
from pipelines.tags import SITING_OFFSETS
from pipelines.tiles import Tile, cut
from pipelines.video import Crop, Frame, Matrix, PixelFormat, Range, Siting
from pipelines.windows import Window, alone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.network import LoadedNetwork
    from pipelines.plan import Plan

__all__ = ["Upscaler", "choose_device", "numerics_class"]

_LEFT = SITING_OFFSETS[Siting.LEFT]
_EVEN = 4 / 255
"""How far samples of a black bar may lie apart: what an encoder leaves there."""


def choose_device(wanted: str) -> torch.device:
    """Take CUDA for "auto" where there is one. Raises UsageError where "cuda" is wanted and there is none."""
    if wanted != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise UsageError("--device cuda: no CUDA device can be used here; leave --device out, or run `vsr run --device cpu`")
    return torch.device("cpu")


def low_precision(device: torch.device) -> torch.dtype:
    """The fast dtype of a device: fp16 on CUDA, bf16 on CPUs that multiply it, else fp32."""
    if device.type == "cuda":
        return torch.float16
    if hasattr(torch.cpu, "_is_amx_tile_supported") and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return torch.bfloat16
    return torch.float32


def numerics_class(device: torch.device) -> dict[str, str]:
    """What, besides input and settings, shapes the bits: workers of one job must agree in all of it."""
    facts = {"torch": str(torch.__version__), "numpy": np.__version__, "dtype": str(low_precision(device)).removeprefix("torch.")}
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        facts |= {"device": "cuda", "compute": f"{major}.{minor}", "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    else:
        facts |= {"device": "cpu", "compute": torch.backends.cpu.get_cpu_capability()}
        if hasattr(torch.cpu, "_is_amx_tile_supported") and torch.cpu._is_amx_tile_supported():
            facts["compute"] += "+AMX"
    return facts


@dataclass
class _Picture:
    """A batch of pictures on their way: luma (B,1,H,W), chroma (B,2,h,w) or None for grey, alpha (B,1,H,W) or None."""

    luma: Tensor
    chroma: Tensor | None
    alpha: Tensor | None
    offset: tuple[float, float]
    """Siting of `chroma`; only meaningful where it is subsampled."""

    @property
    def size(self) -> tuple[int, int]:
        return self.luma.shape[-2], self.luma.shape[-1]

    def chroma_at(self, height: int, width: int, offset: tuple[float, float], kernel: str) -> Tensor:
        """Chroma resampled to that many samples and that siting; neutral for grey."""
        if self.chroma is None:
            return self.luma.new_zeros(self.luma.shape[0], 2, height, width)
        vertical = self.offset[0] if self.chroma.shape[-2] < self.luma.shape[-2] else 0.0
        horizontal = self.offset[1] if self.chroma.shape[-1] < self.luma.shape[-1] else 0.0
        return resample(self.chroma, height, width, kernel, offset=(vertical, horizontal), out_offset=offset)


class Upscaler:
    """The cascade of a plan, loaded on a device."""

    def __init__(self, plan: Plan, device: torch.device) -> None:
        """Load every network of the plan. Raises MediaError where weights are not what the plan says."""
        self._plan, self.device = plan, device
        self.dtype = low_precision(device)
        self._state: Tensor | None = None
        self.stills = Stills()
        self._source, self._target = PixelFormat.parse(plan.pix_fmt), PixelFormat.parse(plan.out_pix_fmt)
        self._offset = SITING_OFFSETS[Siting(plan.color.siting)]
        stages = [(s, load_network(s.card, height=s.height, width=s.width, chroma_offset=self._offset)) for s in plan.stages]
        self._networks = [n for s, n in stages if s.card.name != "identity"]
        for network in self._networks:
            network.module.to(device, memory_format=torch.channels_last)  # type: ignore[attr-defined]
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = False  # its choice of algorithm depends on a timing
        self._fused = self._fused_way()
        self._grain = GrainMaker(plan)

    @property
    def contract(self) -> Contract:
        """Of the first network, the only one that may look at neighbours."""
        return self._networks[0].contract if self._networks else Contract(scale=1, pixels="yuv420")

    def __call__(self, frames: Sequence[Frame]) -> list[Frame]:
        """Upscale frames, each with its own timestamp and as if it were alone; order and number stay."""
        return [self.follow(alone(f, self.contract)) for f in frames]

    def follow(self, window: Window) -> Frame:
        """Upscale the next frame of a film."""
        upright = [self._turn(f.planes) for f in window.frames]
        same = self._plan.pix_fmt == self._plan.out_pix_fmt and self._plan.color == self._plan.out_color
        if window.starts:
            self._state = None
        if not self._networks and same:
            planes = upright[window.now]
        else:
            planes = self._run(upright, window.now)
        return self._grain(replace(window.frame, planes=self._pad_codes(planes)))

    def turned(self, frame: Frame) -> Frame:
        """The frame as it is seen."""
        return replace(frame, planes=self._turn(frame.planes)) if self._plan.orientation else frame

    @torch.inference_mode()
    def _run(self, frames: Sequence[Sequence[np.ndarray]], now: int) -> list[np.ndarray]:
        if self._is_direct():
            return self._by_tiles(frames, now)
        picture = self._load(frames[now : now + 1])
        neighbours = self._load(frames) if len(frames) > 1 else picture
        for network in self._networks:
            made = self._through(network, picture, neighbours)
            picture = made if network.classical else self._softened(picture, made, network.contract.kernel)
            refuse_nonsense(network.name, picture.luma)
            neighbours = picture
        return self._store(picture)[0]

    def _is_direct(self) -> bool:
        """One YUV-native network between 4:2:0 planes of the siting it knows: every tile can go from codes to codes."""
        plan, fmt = self._plan, self._source
        return (
            len(self._networks) == 1
            and self._networks[0].contract.pixels == "yuv420"
            and self._networks[0].contract.halo_px is not None
            and (fmt.family, fmt.sub_x, fmt.sub_y, fmt.alpha) == ("yuv", 1, 1, False)
            and plan.pix_fmt == plan.out_pix_fmt
            and plan.color == plan.out_color
            and plan.strength == 1
            and self._source_offset == self._offset == _LEFT
        )

    def _fused_way(self) -> FusedNetwork | None:
        """The direct way in as few passes over memory as can be, for what a CPU can run so."""
        if self.device.type != "cpu" or not self._is_direct() or not FusedNetwork.takes(self._networks[0]):
            return None
        allowed = self._networks[0].contract.low_precision_at(self._source.bits)
        dtype = self.dtype if allowed else torch.float32
        return FusedNetwork(self._networks[0], self._source.bits, full=self._plan.color.range == Range.FULL, dtype=dtype)

    def _by_tiles(self, frames: Sequence[Sequence[np.ndarray]], now: int) -> list[np.ndarray]:
        """The same as the long way round, tile by tile from codes to codes: no map of the whole frame in float is ever made."""
        (network,) = self._networks
        scale, multiple = network.contract.scale, network.contract.size_multiple
        height, width = frames[0][0].shape
        sizes = _even_sizes(height, width, multiple)
        even = [[_reflect_codes(p, n) for p, n in zip(planes, sizes, strict=True)] for planes in frames]
        result = [np.empty((rows * scale, columns * scale), frames[0][0].dtype) for rows, columns in sizes]
        state, following = self._state, None
        for part in cut(*sizes[0], *self._plan.tile_px, network.contract.halo_px or 0, multiple, self._bars(network, sizes[0])):
            if not network.contract.recurrent and self.stills.take(even, part, scale, result):
                continue
            half = part.read(2)
            seen = [[f[0][part.read()], *(p[half] for p in f[1:])] for f in even]
            remembered = None if state is None else state[(..., *half)]
            is_black = part.in_bar and all(int(p.max()) - int(p.min()) <= _EVEN * (1 << self._source.bits) for p in seen[now])
            if self._fused is not None and not is_black:
                left = self._fused.run(seen, remembered, even[now], part, result)
            else:
                left = self._run_tile(network, seen, remembered, part, result, is_black=is_black)
            if left is not None:
                following = left.new_empty(*left.shape[:2], *sizes[1]) if following is None else following
                following[(..., *part.written(1, 2))] = left[(..., *part.kept(1, 2))]
        self._state = following
        self.stills.keep(even, result)
        wanted = [(height * scale, width * scale), *[(-(-height * scale // 2), -(-width * scale // 2))] * 2]
        return [plane[:rows, :columns] for plane, (rows, columns) in zip(result, wanted, strict=True)]

    def _run_tile(
        self,
        network: LoadedNetwork,
        seen: Sequence[Sequence[np.ndarray]],
        state: Tensor | None,
        part: Tile,
        result: Sequence[np.ndarray],
        *,
        is_black: bool,
    ) -> Tensor | None:
        """One tile of the frames that are seen through the network, its codes into `result`; the state it leaves."""
        scale, bits, full = network.contract.scale, self._source.bits, self._plan.color.range == Range.FULL
        luma = torch.stack([to_float(f[0], bits, full, chroma=False) for f in seen])[None].to(self.device)
        chroma = torch.stack([to_float(p, bits, full, chroma=True) for f in seen for p in f[1:]])[None].to(self.device)
        inputs = [luma, chroma] if state is None else [luma, chroma, state]
        luma, chroma, *left = _classical(network, inputs) if is_black else self._call(network, inputs, (part.halo_top, part.halo_left))
        refuse_nonsense(network.name, luma)
        result[0][part.written(scale, 1)] = to_codes(luma[0, 0][part.kept(scale, 1)], bits, full, chroma=False)
        for plane, values in zip(result[1:], chroma[0], strict=True):
            plane[part.written(scale, 2)] = to_codes(values[part.kept(scale, 2)], bits, full, chroma=True)
        return left[0] if left else None

    def _turn(self, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
        turn = self._plan.orientation
        result = []
        for plane in planes:
            turned = plane.T if turn.transpose else plane
            turned = turned[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
            result.append(turned if turned is plane else np.ascontiguousarray(turned))
        return result

    def _pad_codes(self, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Repeat the last column or row where the result must be even."""
        result = []
        for number, plane in enumerate(planes):
            height, width = self._target.plane_size(number, self._plan.out_width, self._plan.out_height)
            extra = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
            result.append(np.pad(plane, extra, mode="edge") if any(e[1] for e in extra) else plane)
        return result

    def _load(self, batch: Sequence[Sequence[np.ndarray]]) -> _Picture:
        """Planes to values: luma and chroma, R'G'B' sources by BT.709's weights."""
        fmt, full = self._source, self._plan.color.range == Range.FULL

        def stack(number: int, *, chroma: bool = False, is_full: bool = full) -> Tensor:
            planes = [to_float(p[number], fmt.bits, is_full, chroma=chroma) for p in batch]
            return torch.stack(planes)[:, None].to(self.device)

        alpha = stack(fmt.plane_count - 1, is_full=True) if fmt.alpha and self._target.alpha else None
        if fmt.family == "gray":
            return _Picture(stack(0), None, alpha, self._offset)
        if fmt.family == "rgb":
            green, blue, red = stack(0), stack(1), stack(2)
            luma, chroma = rgb_to_yuv(torch.cat([red, green, blue], 1), self._matrix)
            return _Picture(luma, chroma, alpha, (0.0, 0.0))
        return _Picture(stack(0), torch.cat([stack(1, chroma=True), stack(2, chroma=True)], 1), alpha, self._source_offset)

    @property
    def _matrix(self) -> int:
        return Matrix.BT709 if self._plan.color.matrix == Matrix.RGB else self._plan.color.matrix

    @property
    def _source_offset(self) -> tuple[float, float]:
        """Siting of the turned planes: turning the picture turns where its chroma lies."""
        vertical, horizontal = self._offset
        turn = self._plan.orientation
        if turn.transpose:
            vertical, horizontal = horizontal, vertical
        return (-vertical if turn.flip_y else vertical, -horizontal if turn.flip_x else horizontal)

    def _through(self, network: LoadedNetwork, picture: _Picture, neighbours: _Picture) -> _Picture:
        """One stage. What the network leaves alone (full-size chroma, alpha) is resized by its classical kernel.

        neighbours: the picture with those that the network looks at, as a batch, oldest first.
        """
        contract = network.contract
        if contract.pixels == "rgb":
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at(*picture.size, (0.0, 0.0), "bicubic"), self._matrix)
            (out,) = self._tiled(network, [rgb])
            luma, chroma = rgb_to_yuv(out, self._matrix)
            return _Picture(luma, chroma if picture.chroma is not None else None, self._resized_alpha(picture, luma, contract.kernel), (0.0, 0.0))
        height, width = picture.size
        half = (-(-height // 2), -(-width // 2))
        is_quarter = picture.chroma is not None and picture.chroma.shape[-2:] == half and half != (height, width)
        if network.classical and picture.chroma is not None:
            network.module.chroma_offset = self._partial(picture)  # type: ignore[attr-defined]
            luma, chroma = network.module((picture.luma, picture.chroma))
            return _Picture(luma, chroma, self._resized_alpha(picture, luma, contract.kernel), picture.offset)
        seen = neighbours if contract.temporal else picture
        around = [seen.luma.transpose(0, 1), seen.chroma_at(*half, _LEFT, contract.kernel).flatten(0, 1)[None]]
        luma, chroma = self._tiled(network, around)
        if is_quarter:
            return _Picture(luma, chroma, self._resized_alpha(picture, luma, contract.kernel), _LEFT)
        own = None
        if picture.chroma is not None:
            own = upscale_plane(picture.chroma, picture.size, (luma.shape[-2], luma.shape[-1]), contract.kernel, self._partial(picture))
        return _Picture(luma, own, self._resized_alpha(picture, luma, contract.kernel), picture.offset)

    def _softened(self, before: _Picture, made: _Picture, kernel: str) -> _Picture:
        """The network's result mixed with the classical one of the same stage (`Plan.strength`)."""
        strength = self._plan.strength
        if strength == 1:
            return made
        luma = torch.lerp(resample(before.luma, *made.size, kernel), made.luma, strength)
        if made.chroma is None:
            return replace(made, luma=luma)
        halves = [2 if c < n else 1 for c, n in zip(made.chroma.shape[-2:], made.size, strict=True)]
        offset = self._partial(made)
        rows, columns = (-(-n // h) for n, h in zip(before.size, halves, strict=True))
        plane = upscale_plane(before.chroma_at(rows, columns, offset, kernel), before.size, made.size, kernel, offset)
        return replace(made, luma=luma, chroma=torch.lerp(plane, made.chroma, strength))

    def _partial(self, picture: _Picture) -> tuple[float, float]:
        """Siting only along the axes that are subsampled."""
        assert picture.chroma is not None
        return tuple(o if c < n else 0.0 for o, c, n in zip(picture.offset, picture.chroma.shape[-2:], picture.luma.shape[-2:], strict=True))  # type: ignore[return-value]

    def _resized_alpha(self, picture: _Picture, like: Tensor, kernel: str) -> Tensor | None:
        return None if picture.alpha is None else resample(picture.alpha, like.shape[-2], like.shape[-1], kernel)

    def _tiled(self, network: LoadedNetwork, planes: list[Tensor]) -> list[Tensor]:
        """Run a network tile by tile and put the parts that count together; chroma and state are half the size of luma."""
        contract, scale = network.contract, network.contract.scale
        height, width = planes[0].shape[-2:]
        multiple = contract.size_multiple
        padded = [_reflect(planes[0], -height % multiple, -width % multiple)]
        if contract.pixels == "yuv420":
            padded.append(_reflect_to(planes[1], padded[0].shape[-2] // 2, padded[0].shape[-1] // 2))
        if self._state is not None and contract.recurrent:
            padded.append(self._state)
        full_height, full_width = padded[0].shape[-2:]
        tile = (full_height, full_width) if contract.halo_px is None else self._plan.tile_px
        results: list[Tensor] = []
        for part in cut(full_height, full_width, *tile, contract.halo_px or 0, multiple, self._bars(network, (full_height, full_width))):
            inputs = [plane[(..., *part.read(full_height // plane.shape[-2]))] for plane in padded]
            is_black = part.in_bar and all(float(x.amax() - x.amin()) <= _EVEN for x in inputs)
            outputs = _classical(network, inputs) if is_black else self._call(network, inputs, (part.halo_top, part.halo_left))
            # Luma and chroma come larger, a state comes as it went in.
            layout = [(scale, 1), (scale, 2), (1, 2)][: len(outputs)]
            if not results:
                results = [o.new_empty(*o.shape[:2], full_height * s // by, full_width * s // by) for o, (s, by) in zip(outputs, layout, strict=True)]
            for result, output, (s, by) in zip(results, outputs, layout, strict=True):
                result[(..., *part.written(s, by))] = output[(..., *part.kept(s, by))]
        if contract.recurrent:
            self._state = results.pop()
        halves = [(height * scale, width * scale), (-(-height * scale // 2), -(-width * scale // 2))]
        return [r[..., : h[0], : h[1]] for r, h in zip(results, halves, strict=False)]

    def _bars(self, network: LoadedNetwork, size: tuple[int, int]) -> Crop:
        """The plan's bars in a stage's input of that (height, width), as far as the network need not look at them."""
        contract, bars = network.contract, self._plan.bars
        factor = size[0] // self._plan.height
        if not bars or contract.temporal or contract.halo_px is None or size != (self._plan.height * factor, self._plan.width * factor):
            return Crop()
        return Crop(bars.top * factor, bars.bottom * factor, bars.left * factor, bars.right * factor)

    def _call(self, network: LoadedNetwork, inputs: list[Tensor], at: tuple[int, int]) -> list[Tensor]:
        """Run a network on a tile that begins at pixel `at`."""
        contract = network.contract
        allowed = contract.low_precision_at(max(self._source.bits, self._target.bits))
        low = self.dtype if allowed and self.dtype is not torch.float32 else None
        context: contextlib.AbstractContextManager[object] = torch.autocast(self.device.type, low) if low else contextlib.nullcontext()
        with context:
            if network.contract.pixels == "rgb":
                module: Callable[[Tensor], Tensor] = network.module  # type: ignore[assignment]
                return [module(inputs[0].contiguous(memory_format=torch.channels_last)).float()]
            planes = (inputs[0], inputs[1])
            if contract.recurrent:
                (luma, chroma), state = network.module(planes, inputs[2] if len(inputs) > 2 else None)  # type: ignore[call-arg]
                return [luma.float(), chroma.float(), state]
            luma, chroma = network.module(planes, at=at) if network.contract.placed else network.module(planes)  # type: ignore[call-arg]
            return [luma.float(), chroma.float()]

    def _store(self, picture: _Picture) -> list[list[np.ndarray]]:
        """Values to planes of the target format, one list a frame."""
        fmt, color = self._target, self._plan.out_color
        height, width = picture.size
        if fmt.family == "yuv" and color.matrix != self._matrix and picture.chroma is not None:
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at(height, width, (0.0, 0.0), "bicubic"), self._matrix)
            luma, chroma = rgb_to_yuv(rgb, color.matrix)
            picture = _Picture(luma, chroma, picture.alpha, (0.0, 0.0))
        if fmt.family == "rgb":
            rgb = yuv_to_rgb(picture.luma, picture.chroma_at(height, width, (0.0, 0.0), "bicubic"), self._matrix)
            channels = [rgb[:, 1], rgb[:, 2], rgb[:, 0]]
        else:
            channels = [picture.luma[:, 0]]
        chroma_like = [False] * len(channels)
        if fmt.family == "yuv":
            rows, columns = fmt.plane_size(1, width, height)
            vertical, horizontal = SITING_OFFSETS[Siting(color.siting)]
            siting = (vertical if fmt.sub_y else 0.0, horizontal if fmt.sub_x else 0.0)
            chroma = picture.chroma_at(rows, columns, siting, "bicubic")
            channels += [chroma[:, 0], chroma[:, 1]]
            chroma_like += [True, True]
        full = [color.range == Range.FULL] * len(channels)
        if fmt.alpha:
            channels.append(picture.alpha[:, 0] if picture.alpha is not None else torch.ones_like(picture.luma[:, 0]))
            chroma_like.append(False)
            full.append(True)
        result = []
        for i in range(picture.luma.shape[0]):
            planes = [to_codes(c[i], fmt.bits, f, chroma=k) for c, f, k in zip(channels, full, chroma_like, strict=True)]
            result.append(self._pad_codes(planes))
        return result


def _classical(network: LoadedNetwork, inputs: list[Tensor]) -> list[Tensor]:
    """What a network would give for a tile of even black, near enough."""
    scale, kernel = network.contract.scale, network.contract.kernel
    return [resample(x, x.shape[-2] * scale, x.shape[-1] * scale, kernel, offset=_LEFT if n else (0.0, 0.0)) for n, x in enumerate(inputs)]


def _reflect(plane: Tensor, bottom: int, right: int) -> Tensor:
    if not bottom and not right:
        return plane
    mode = "reflect" if bottom < plane.shape[-2] and right < plane.shape[-1] else "replicate"
    return F.pad(plane, (0, right, 0, bottom), mode=mode)


def _reflect_to(plane: Tensor, height: int, width: int) -> Tensor:
    return _reflect(plane, height - plane.shape[-2], width - plane.shape[-1])


def _even_sizes(height: int, width: int, multiple: int) -> list[tuple[int, int]]:
    """(height, width) of luma and both chroma planes once luma is padded to the multiple."""
    height, width = height + -height % multiple, width + -width % multiple
    return [(height, width), (height // 2, width // 2), (height // 2, width // 2)]


def _reflect_codes(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    extra = [(0, wanted - have) for wanted, have in zip(size, plane.shape, strict=True)]
    if not any(e[1] for e in extra):
        return plane
    mode = "reflect" if all(e[1] < n for e, n in zip(extra, plane.shape, strict=True)) else "edge"
    return np.pad(plane, extra, mode=mode)  # type: ignore[call-overload, no-any-return]
