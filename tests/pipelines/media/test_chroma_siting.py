"""Container headers: what is read from headers that FFmpeg's muxers write."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.media import chroma_siting as module
from pipelines.media.cicp import Siting
from pipelines.media.pixel_format import PixelCrop
from tests import media
from tests.helpers import patches, spliced


def test_random_numbers_in_a_header_are_not_taken_for_elements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 32: Matroska's UIDs are random; the two bytes of an element stand in one of them now and then."""
    planes = [np.full((48, 64), 120, np.uint8), *[np.full((24, 32), 128, np.uint8)] * 2]
    film = patches.write_planes(
        tmp_path / "in.mkv", [planes], "yuv420p", (1, 1, 1, 1), "ffv1", chroma_sample_location="topleft"
    )
    original = module._header

    def unlucky(stream: object, kind: str) -> bytes:
        header = original(stream, kind)
        at = header.index(b"\x73\xa4\x90") + 3  # SegmentUID, 16 bytes
        return header[:at] + b"\x55\xb0\x81\x01\x55\xb7\x81\x02\x55\xb8\x81\x02" + header[at + 12 :]

    monkeypatch.setattr(module, "_header", unlucky)
    with av.open(str(film)) as container:
        assert module.chroma_siting(container.streams.video[0]) == Siting.TOP_LEFT


def test_a_crop_is_read_from_its_box_and_from_nothing_like_it(tmp_path: Path) -> None:
    """Case 27: the name of the box may stand anywhere in a header."""
    source = spliced.with_clap(media.cfr(tmp_path / "in.mp4", frames=1), *map(Fraction, (50, 40, 1, -2)))
    plain = media.cfr(tmp_path / "plain.mp4", frames=1)
    with av.open(str(source)) as cropped, av.open(str(plain)) as whole:
        assert module.container_crop(cropped.streams.video[0]) == PixelCrop(2, 6, 8, 6)
        header = module._header(whole.streams.video[0], "mov")
        like = (
            header
            + struct.pack(">I4s", 44, b"free")
            + b"clap"
            + struct.pack(">8i", 50, 1, 40, 1, 1, 1, -2, 1)
        )
        assert module._clap(like, whole.streams.video[0]) == PixelCrop()
