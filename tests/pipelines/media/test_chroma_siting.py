"""What is read of a stream through headers that FFmpeg's muxers write."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.media import chroma_siting as module
from pipelines.media.cicp import Siting
from tests.helpers import patches


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
