"""The passes before and after a YUV-native network.

Three implementations are compared: compiled, with arrays, and in the network itself.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.architectures.compact import Compact
from models.layers.yuv_residual import bicubic, pack, unpack
from pipelines.frames.color_conversion import to_codes, to_float
from pipelines.inference import fused_cpu
from pipelines.inference.fused_cpu import Adder, Packer


def planes(height: int, width: int, bits: int = 8, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    return [
        rng.integers(0, 1 << bits, s).astype(dtype)
        for s in [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    ]


def values(codes: list[np.ndarray], bits: int, full: bool) -> tuple[torch.Tensor, torch.Tensor]:
    luma = to_float(codes[0], bits, full, chroma=False)[None, None]
    return luma, torch.stack([to_float(p, bits, full, chroma=True) for p in codes[1:]])[None]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_codes_are_packed_as_the_network_packs_values(bits: int, full: bool, dtype: torch.dtype) -> None:
    frames = [planes(12, 20, bits, n) for n in range(3)]
    found = Packer(bits, full=full, dtype=dtype)(frames)
    lumas, chromas = zip(*(values(f, bits, full) for f in frames), strict=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, pack((torch.cat(lumas, 1), torch.cat(chromas, 1))).to(dtype))


def test_a_state_lies_behind_the_frames_and_is_zero_at_first() -> None:
    packer, frame = Packer(8, full=False, dtype=torch.bfloat16), planes(8, 8)
    state = torch.randn(1, 5, 4, 4).bfloat16()
    assert torch.equal(packer([frame], state, 5)[:, 6:], state)
    assert not packer([frame], None, 5)[:, 6:].any()


def added(
    scale: int,
    bits: int,
    codes: list[np.ndarray],
    residual: torch.Tensor,
    parts: list[tuple[int, int, int, int]],
    halo: int,
) -> list[np.ndarray]:
    adder = Adder(scale, bits, full=False)
    out = [np.zeros((p.shape[0] * scale, p.shape[1] * scale), p.dtype) for p in codes]
    rows, columns = codes[1].shape
    for top, bottom, left, right in parts:
        y, x = max(0, top - halo), max(0, left - halo)
        tile = residual[:, :, y : min(rows, bottom + halo), x : min(columns, right + halo)].contiguous(
            memory_format=torch.channels_last
        )
        adder(codes, tile, (y, x), (top, bottom, left, right), out)
    return out


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_compiled_or_by_arrays_the_bits_are_the_same(
    scale: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused_cpu.COMPILED:
        pytest.skip("numba is not installed here")
    codes = planes(24, 36, bits)
    residual = torch.randn(1, 6 * scale * scale, 12, 18, generator=torch.Generator().manual_seed(1)) * 0.1
    parts = [(0, 6, 0, 10), (0, 6, 10, 18), (6, 12, 0, 10), (6, 12, 10, 18)]
    compiled = added(scale, bits, codes, residual, parts, 2)
    monkeypatch.setattr(fused_cpu, "COMPILED", False)
    plain = added(scale, bits, codes, residual, parts, 2)
    assert all(np.array_equal(a, b) for a, b in zip(compiled, plain, strict=True))
    table, out = np.arange(256, dtype=np.float32), [np.zeros((12, 18, 7), np.float32) for _ in range(2)]
    fused_cpu._lookup(codes[0] & 255, table, out[0], 2, 2)
    fused_cpu._lookup_at_once(codes[0] & 255, table, out[1], 2, 2)
    assert np.array_equal(*out)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_sum_is_what_the_network_itself_would_leave(scale: int, bits: int) -> None:
    codes = planes(24, 36, bits)
    residual = torch.randn(1, 6 * scale * scale, 12, 18, generator=torch.Generator().manual_seed(1)) * 0.1
    found = added(scale, bits, codes, residual, [(0, 12, 0, 18)], 0)
    luma, chroma = (
        a + b for a, b in zip(bicubic(values(codes, bits, full=False), scale), unpack(residual), strict=True)
    )
    wanted = [
        to_codes(luma[0, 0], bits, full=False, chroma=False),
        *(to_codes(c, bits, full=False, chroma=True) for c in chroma[0]),
    ]
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1
        assert (a != b).mean() < 0.005
        assert a.min() == 0 or a.max() < (1 << bits)


def test_only_networks_that_leave_a_packed_residual_are_taken() -> None:
    from models.catalog.loader import load_network
    from models.catalog.lookup import find_cards

    assert fused_cpu.FusedNetwork.takes(load_network(find_cards("fast-x2")[0]))
    assert not fused_cpu.FusedNetwork.takes(load_network(find_cards("lanczos")[0], height=4, width=4))
    assert Compact(scale=2).packing == 2
