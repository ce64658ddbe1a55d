"""What code values mean, and the way between YUV and R'G'B'."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.errors import MediaError
from pipelines.color import code_values, rgb_to_yuv, to_codes, to_float, yuv_to_rgb
from pipelines.tags import resolve
from pipelines.video import ColorTags, Matrix, PixelFormat, Primaries, Range, Siting, Transfer


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("chroma", [False, True])
def test_codes_survive_the_way_through_float(bits, full, chroma):
    codes = np.arange(1 << bits, dtype=np.uint8 if bits == 8 else np.uint16)[None]
    assert (to_codes(to_float(codes, bits, full, chroma=chroma), bits, full, chroma=chroma) == codes).all()


def test_limited_range_puts_black_and_white_where_the_standard_does():
    assert code_values(8, full=False, chroma=False) == (16, 219)
    assert code_values(10, full=False, chroma=False) == (64, 876)
    assert code_values(10, full=False, chroma=True) == (512, 896)
    assert code_values(8, full=True, chroma=True) == (128, 255)


@pytest.mark.parametrize(
    ("matrix", "luma", "cb", "cr"),
    [(Matrix.BT709, 63, 102, 240), (Matrix.SMPTE170M, 81, 90, 240), (Matrix.BT2020_NCL, 74, 97, 240)],
)
def test_red_has_the_code_values_of_the_standard(matrix, luma, cb, cr):
    y, c = rgb_to_yuv(torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1), matrix)
    codes = [to_codes(p, 8, False, chroma=k).item() for p, k in ((y[0, 0], False), (c[0, :1][0], True), (c[0, 1:][0], True))]
    assert codes == [luma, cb, cr]


@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
def test_rgb_survives_the_way_through_yuv(matrix):
    rgb = torch.rand(2, 3, 5, 7)
    assert torch.allclose(yuv_to_rgb(*rgb_to_yuv(rgb, matrix), matrix), rgb, atol=1e-6)


def test_values_beyond_black_and_white_are_clipped_to_legal_codes_only():
    assert to_codes(torch.tensor([[-1.0, 2.0]]), 8, full=False, chroma=False).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("height", "matrix", "primaries"),
    [(480, Matrix.SMPTE170M, Primaries.SMPTE170M), (576, Matrix.BT470BG, Primaries.BT470BG), (720, Matrix.BT709, Primaries.BT709)],
)
def test_untagged_video_follows_the_stated_rule_by_its_lines(height, matrix, primaries):
    resolved, assumed = resolve(ColorTags(), PixelFormat.parse("yuv420p"), height=height, codec="h264")
    assert (resolved.matrix, resolved.primaries, resolved.transfer, resolved.range) == (matrix, primaries, Transfer.BT709, Range.LIMITED)
    assert resolved.siting == Siting.LEFT
    assert len(assumed) == 4


def test_tags_that_are_there_are_kept():
    tags = ColorTags(Matrix.BT2020_NCL, Range.LIMITED, Primaries.BT2020, Transfer.PQ, Siting.TOP_LEFT)
    assert resolve(tags, PixelFormat.parse("yuv420p10le"), height=480, codec="hevc") == (tags, ())


def test_jpeg_is_bt601_full_range_with_centred_chroma():
    resolved, _ = resolve(ColorTags(), PixelFormat.parse("yuv420p"), height=1080, codec="mjpeg")
    assert (resolved.matrix, resolved.range, resolved.siting) == (Matrix.BT470BG, Range.FULL, Siting.CENTER)


@pytest.mark.parametrize("matrix", [Matrix.ICTCP, Matrix.YCGCO, Matrix.BT2020_CL])
def test_matrices_that_cannot_be_converted_are_refused(matrix):
    with pytest.raises(MediaError, match="can't be converted"):
        resolve(ColorTags(matrix=matrix), PixelFormat.parse("yuv420p10le"), height=2160, codec="hevc")
