"""Sample values and R'G'B'; the meaning of tags; thumbnails."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.errors import MediaError
from pipelines.frames.color_conversion import rgb_to_yuv, to_codes, to_float, yuv_to_rgb
from pipelines.frames.thumbnail import grid_for, thumbnail
from pipelines.media.cicp import ColorTags, Matrix, Range, code_values
from pipelines.media.pixel_format import PixelFormat
from pipelines.plan.color_tags import resolve_tags
from tests import media


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("chroma", [True, False])
def test_codes_come_back_as_they_went(bits: int, full: bool, chroma: bool) -> None:
    codes = np.arange(1 << bits).reshape(2, -1).astype(np.uint8 if bits == 8 else np.uint16)
    assert np.array_equal(
        to_codes(to_float(codes, bits, full, chroma=chroma), bits, full, chroma=chroma), codes
    )


def test_black_white_and_grey_are_where_the_standards_put_them() -> None:
    """H.273 equations 20 to 28."""
    assert code_values(8, False, chroma=False) == (16, 219)
    assert code_values(10, False, chroma=True) == (512, 896)
    assert code_values(8, True, chroma=False) == (0, 255)


@pytest.mark.parametrize(
    ("matrix", "red"),
    [(Matrix.BT709, (63, 102, 240)), (Matrix.SMPTE170M, (81, 90, 240)), (Matrix.BT2020_NCL, (74, 97, 240))],
)
def test_pure_red_has_the_published_codes(matrix: Matrix, red: tuple[int, int, int]) -> None:
    luma, chroma = rgb_to_yuv(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1), matrix)
    found = [
        int(to_codes(v[0], 8, False, chroma=n > 0)[0, 0])
        for n, v in enumerate([luma[:, 0], chroma[:, 0], chroma[:, 1]])
    ]
    assert found == list(red)
    assert torch.allclose(
        yuv_to_rgb(luma, chroma, matrix), torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1), atol=1e-6
    )


def test_codes_are_clipped_only_at_the_end_of_their_bits() -> None:
    assert to_codes(torch.tensor([[-1.0, 2.0, 1.05]]), 8, False, chroma=False).tolist() == [[0, 255, 246]]


YUV = PixelFormat.parse("yuv420p")


@pytest.mark.parametrize(("height", "matrix"), [(480, 6), (486, 6), (576, 5), (577, 1), (1080, 1)])
def test_untagged_video_is_judged_by_its_lines(height: int, matrix: int) -> None:
    """Case 28."""
    found, assumed = resolve_tags(ColorTags(), YUV, height=height, codec="h264")
    assert (found.matrix, found.range, found.transfer) == (matrix, Range.LIMITED, 1)
    assert len(assumed) == 4


def test_tags_that_are_there_are_kept() -> None:
    tags = ColorTags(9, 2, 9, 16, 3)
    assert resolve_tags(tags, YUV, height=480, codec="hevc") == (tags, ())


@pytest.mark.parametrize("matrix", [Matrix.ICTCP, Matrix.YCGCO, Matrix.BT2020_CL])
def test_matrices_that_can_t_be_converted_are_refused(matrix: Matrix) -> None:
    with pytest.raises(MediaError, match="can't be converted"):
        resolve_tags(ColorTags(matrix=matrix), YUV, height=1080, codec="hevc")


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_thumbnail_does_not_depend_on_the_size_of_its_picture(factor: int) -> None:
    tags, grid = ColorTags(1, 1, 1, 1), grid_for(64, 48)
    small = media.planes_of(5, 64, 48)
    large = [np.repeat(np.repeat(p, factor, 0), factor, 1) for p in small]
    assert np.abs(thumbnail(small, YUV, tags, grid) - thumbnail(large, YUV, tags, grid)).mean() < 3
    other = thumbnail(media.planes_of(6, 64, 48), YUV, tags, grid)
    assert np.abs(thumbnail(small, YUV, tags, grid) - other).mean() > 5
