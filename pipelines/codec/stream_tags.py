"""`with_tags`: writes colour and siting of the plan into the headers of an encoded chunk.

Hardware drivers drop or round the values they are given. FFmpeg's `h264_metadata`, `hevc_metadata` and
`av1_metadata` rewrite the headers and change no coefficient.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from pipelines.media.cicp import Range, Siting
from pipelines.media.demuxer import open_memory

if TYPE_CHECKING:
    from pipelines.media.cicp import ColorTags
    from pipelines.settings.encoder_spec import Encoder

__all__ = ["with_tags"]


_AV1_SITINGS = {Siting.LEFT: "vertical", Siting.TOP_LEFT: "colocated"}


def with_tags(data: bytes, encoder: Encoder, color: ColorTags) -> tuple[bytes, bytes]:
    """Return (the chunk, its header) with the tags. data: a small file in the encoder's container.

    Raises av.error.FFmpegError for a damaged stream.
    """
    buffer = io.BytesIO()
    with open_memory(data) as source, av.open(buffer, "w", format=encoder.container) as target:
        stream = source.streams.video[0]
        made = target.add_mux_stream(encoder.codec, rate=25, width=encoder.width, height=encoder.height)
        made.time_base = stream.time_base
        tagged = BitStreamFilterContext(_filter(encoder, color), in_stream=stream, out_stream=made)
        for packet in source.demux(stream):
            for written in tagged.filter(packet if packet.size else None):
                written.stream = made
                target.mux(written)
    with open_memory(buffer.getvalue()) as container:
        return buffer.getvalue(), bytes(container.streams.video[0].codec_context.extradata or b"")


def _filter(encoder: Encoder, color: ColorTags) -> str:
    """FFmpeg's name of the bitstream filter, and its options."""
    words: dict[str, Any] = {"transfer_characteristics": color.transfer, "matrix_coefficients": color.matrix}
    subsampled = encoder.pixels.sub_y and color.siting
    if encoder.codec == "av1":
        words |= {
            "color_primaries": color.primaries,
            "color_range": "pc" if color.range == Range.FULL else "tv",
        }
        if subsampled:
            words["chroma_sample_position"] = _AV1_SITINGS.get(Siting(color.siting), "unknown")
    else:
        words |= {
            "colour_primaries": color.primaries,
            "video_full_range_flag": int(color.range == Range.FULL),
        }
        if subsampled:
            words["chroma_sample_loc_type"] = color.siting - 1
    values = (f"{key}={int(value) if isinstance(value, int) else value}" for key, value in words.items())
    return f"{encoder.codec}_metadata={':'.join(values)}"
