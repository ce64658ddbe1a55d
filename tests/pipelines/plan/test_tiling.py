"""Tiles cover every pixel of a frame exactly once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.plan.tiling import cut_tiles


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(0, 40),
    st.sampled_from([1, 2, 4]),
)
@settings(max_examples=200, deadline=None)
def test_every_pixel_counts_once_and_halos_stay_inside(
    height: int, width: int, rows: int, columns: int, halo: int, multiple: int
) -> None:
    height, width = -(-height // multiple) * multiple, -(-width // multiple) * multiple
    counted = np.zeros((height, width), int)
    for tile in cut_tiles((height, width), (rows, columns), halo, multiple):
        counted[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert 0 <= tile.halo_top <= tile.top < tile.bottom <= tile.halo_bottom <= height
        assert 0 <= tile.halo_left <= tile.left < tile.right <= tile.halo_right <= width
        for edge in (tile.halo_top, tile.halo_bottom, tile.halo_left, tile.halo_right):
            assert edge % multiple == 0
        assert tile.halo_top in {0, tile.top - -(-halo // multiple) * multiple}
    assert (counted == 1).all()


def test_tiles_are_about_equal() -> None:
    heights = {t.bottom - t.top for t in cut_tiles((1080, 960), (544, 960), 20, 2)}
    assert heights == {540}
