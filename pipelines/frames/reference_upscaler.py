"""`upscale`: a short clip through a network, whole frames at once, for training and judging.

Runs use tiles and batches instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from models.layers.resampling import resample
from pipelines.frames import color_conversion
from pipelines.frames.sample_values import LEFT, rgb_to_planes
from pipelines.media.cicp import Matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from models.network import Contract, Planes, State

__all__ = ["classical", "upscale", "upscale_frames", "window"]


def classical(planes: Planes, scale: int, kernel: str) -> Planes:
    """Luma (T,1,H,W) and left-sited chroma (T,2,H/2,W/2), each resampled to `scale` times its size."""
    luma, chroma = planes
    return (
        resample(luma, luma.shape[-2] * scale, luma.shape[-1] * scale, kernel),
        resample(chroma, chroma.shape[-2] * scale, chroma.shape[-1] * scale, kernel, offset=LEFT),
    )


def window(planes: Planes, index: int, contract: Contract) -> Planes:
    """Frame `index` of a clip with its neighbours as channels.

    Luma (1,P+1+F,H,W), chroma (1,2·(P+1+F),H/2,W/2), oldest first. Beyond the ends of the clip the first or
    last frame is repeated.
    """
    luma, chroma = planes
    last = luma.shape[0] - 1
    chosen = [min(max(index + step, 0), last) for step in range(-contract.past, contract.future + 1)]
    return luma[chosen, 0][None], chroma[chosen].flatten(0, 1)[None]


def upscale(
    network: Any,
    planes: Planes,
    *,
    contract: Contract | None = None,
    bf16: bool = False,
    matrix: int = Matrix.BT470BG,
    rgb: Tensor | None = None,
) -> Planes:
    """Luma (T,1,H,W), chroma (T,2,H/2,W/2) -> the same at `scale` times the size, float32.

    A recurrent network starts with an empty state. contract: needed if `network` is a
    module without one. matrix: the clip's, for networks on R'G'B'. rgb: (T,3,H,W), the R'G'B' before
    subsampling, if available. bf16: use bf16 if the contract allows it.
    """
    outputs = list(upscale_frames(network, planes, contract=contract, bf16=bf16, matrix=matrix, rgb=rgb))
    return torch.cat([o[0] for o in outputs]), torch.cat([o[1] for o in outputs])


def upscale_frames(
    network: Any,
    planes: Planes,
    *,
    contract: Contract | None = None,
    bf16: bool = False,
    matrix: int = Matrix.BT470BG,
    rgb: Tensor | None = None,
) -> Iterator[Planes]:
    """Yield the result of `upscale` frame by frame: luma (1,1,H,W), chroma (1,2,H/2,W/2), float32."""
    contract = contract or network.contract
    assert contract is not None
    state: State = None
    for index in range(planes[0].shape[0]):
        # Entered for each frame, so that the caller's own modes apply between frames.
        with (
            torch.inference_mode(),
            torch.autocast(planes[0].device.type, torch.bfloat16, enabled=bf16 and contract.low_precision),
        ):
            if contract.pixels == "rgb":
                picture = _to_rgb(planes, index, matrix) if rgb is None else rgb[index : index + 1]
                luma, chroma = rgb_to_planes(_padded_rgb(network, contract, picture), matrix)
            else:
                padded = _pad(window(planes, index, contract), contract.size_multiple)
                if contract.recurrent:
                    result, state = network(padded, state)
                else:
                    result = network(padded)
                luma, chroma = _crop(result, planes, contract.scale)
            luma, chroma = luma.float(), chroma.float()
        yield luma, chroma


def _pad(planes: Planes, multiple: int) -> Planes:
    """Pad to a multiple of `multiple` (at least 2) by reflection on the right and at the bottom."""
    luma, chroma = planes
    multiple = max(2, multiple)
    down, across = -luma.shape[-2] % multiple, -luma.shape[-1] % multiple
    if not down and not across:
        return planes
    return F.pad(luma, (0, across, 0, down), mode="reflect"), F.pad(
        chroma, (0, across // 2, 0, down // 2), mode="reflect"
    )


def _crop(result: Planes, planes: Planes, scale: int) -> Planes:
    height, width = planes[0].shape[-2] * scale, planes[0].shape[-1] * scale
    return result[0][..., :height, :width], result[1][..., : height // 2, : width // 2]


def _to_rgb(planes: Planes, index: int, matrix: int) -> Tensor:
    luma, chroma = planes[0][index : index + 1], planes[1][index : index + 1]
    full = resample(chroma, luma.shape[-2], luma.shape[-1], "bicubic", offset=LEFT, out_offset=(0.0, 0.0))
    return color_conversion.yuv_to_rgb(luma, full, matrix)


def _padded_rgb(network: Any, contract: Contract, picture: Tensor) -> Tensor:
    """(1,3,H,W) through a network on R'G'B'."""
    height, width = picture.shape[-2:]
    multiple = contract.size_multiple
    padded = F.pad(picture, (0, -width % multiple, 0, -height % multiple), mode="reflect")
    result: Tensor = network(padded)
    return result[..., : height * contract.scale, : width * contract.scale].float()
