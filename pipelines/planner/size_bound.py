"""`most_disk_bytes`: upper bound of the disk space of a run, before anything is measured.

`vsr plan --measure` gives an estimate.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["most_disk_bytes"]


_BITS_A_PIXEL = {"h264": (0.8, 18.0), "hevc": (0.5, 19.0), "av1": (0.35, 26.0)}
"""(bits per pixel, at a CRF) for footage full of grain and motion at twice its size; most footage takes a
fifth."""
_IN_HARDWARE = 1.5
"""Factor for hardware encoders at the same quality."""
_CRF_THAT_HALVES = {True: 4.0, False: 6.0}
"""Increase of CRF, below and above that value, that halves the bits of noise; SVT-AV1's scale is about as
steep."""
_AS_IT_WAS = 1.5
"""Factor on the source's own bytes per pixel, which its output may need too."""
_PRORES = {"yuv422": 7.0, "yuv444": 10.0}
"""Bits per pixel of the HQ and 4444 profiles, nearly twice Apple's target rates, as noise takes more. A
constant quantiser may take twice as many."""
_PICTURES = {"mjpeg": 6.0, "libwebp": 4.0}
_HEADERS = 1.02
"""Factor for the headers of uncompressed images."""


def most_disk_bytes(info: VideoInfo, plan: Plan) -> int:
    """Finished chunks and the output together, which are both on disk at the end."""
    encoder = plan.encoder
    pixels = plan.out_width * plan.out_height
    if encoder.codec in _BITS_A_PIXEL:
        bits, at = _BITS_A_PIXEL[encoder.codec]
        bits *= _IN_HARDWARE if encoder.vendor else 1.0
        crf = float(encoder.options.get("crf", at))
        bits *= 2 ** ((at - crf) / _CRF_THAT_HALVES[crf < at])
        # Enlarging further adds no information.
        frame = bits / 8 * min(pixels, 4 * plan.width * plan.height)
        frame = max(frame, _AS_IT_WAS * sum(info.index.size) / max(1, plan.results(info.frame_count)))
    elif encoder.name == "prores_ks":
        frame = (
            pixels
            / 8
            * _PRORES["yuv444" if "444" in encoder.pix_fmt else "yuv422"]
            * (2 if "global_quality" in encoder.options else 1)
        )
    elif encoder.name in _PICTURES:
        frame = pixels / 8 * _PICTURES[encoder.name]
    else:
        frame = _HEADERS * encoder.picture_bytes
    video = plan.frame_count * frame
    if plan.target is not None and plan.target.kind == "size":
        video = plan.target.wanted
    others = 0 if info.first_number is not None else max(0, os.path.getsize(info.path) - sum(info.index.size))
    return int(2 * video + others)
