"""Tiles cover a picture once, with halos that end at its border."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tiles import cut

sides = st.integers(1, 300)


@given(height=sides, width=sides, tile=st.integers(8, 128), halo=st.integers(0, 40), multiple=st.sampled_from([1, 2, 4]))
def test_every_pixel_counts_once(height, width, tile, halo, multiple):
    height, width = -(-height // multiple) * multiple, -(-width // multiple) * multiple
    counted = np.zeros((height, width), int)
    for part in cut(height, width, tile, tile, halo, multiple):
        counted[part.top : part.bottom, part.left : part.right] += 1
        assert part.top % multiple == part.left % multiple == part.halo_top % multiple == part.halo_left % multiple == 0
        assert part.halo_top == 0 or part.top - part.halo_top >= halo
        assert part.halo_right == width or part.halo_right - part.right >= halo
        assert 0 <= part.halo_top <= part.top < part.bottom <= part.halo_bottom <= height
    assert (counted == 1).all()


def test_tiles_are_nearly_equal():
    heights = {p.bottom - p.top for p in cut(1080, 960, 544, 960, 20, 2)}
    assert heights == {540}
