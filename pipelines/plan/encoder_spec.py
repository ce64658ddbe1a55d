"""`Encoder`: an encoder with every option that shapes its output."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.media.pixel_format import PixelFormat

__all__ = ["MAKERS", "PACKED", "PICTURE_ENCODERS", "Encoder"]


PICTURE_ENCODERS = {
    "png": "png",
    "jpg": "mjpeg",
    "jpeg": "mjpeg",
    "webp": "libwebp",
    "tif": "tiff",
    "tiff": "tiff",
    "dpx": "dpx",
    "exr": "exr",
}
"""File suffix -> encoder, for pictures."""

PACKED = {
    ("png", "gbrp"): "rgb24", ("png", "gbrap"): "rgba", ("png", "gbrp16le"): "rgb48be", ("png",
    "gbrap16le"): "rgba64be", ("png", "gray16le"): "gray16be", ("png", "ya16le"): "ya16be", ("tiff",
    "gbrp"): "rgb24", ("tiff", "gbrap"): "rgba", ("tiff", "gbrp16le"): "rgb48le", ("tiff",
    "gbrap16le"): "rgba64le", ("dpx", "gbrp"): "rgb24", ("dpx", "gbrap"): "rgba", ("dpx",
    "gbrp16le"): "rgb48le", ("dpx", "gbrap16le"): "rgba64le", ("ffv1", "gbrp"): "bgr0", ("ffv1",
    "gbrap"): "bgra",
}  # fmt: skip
"""(encoder, planar format) -> the packed one with the same samples that it is fed instead, where it knows no
planar one."""

MAKERS = {
    "nvenc": {
        "yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p": "nv16", "yuv422p10le": "p210le",
        "yuv444p": "yuv444p", "yuv444p10le": "yuv444p16le",
    },
    "qsv": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "y210le", "yuv444p": "vuyx",
    "yuv444p10le": "xv30le"}, "amf": {"yuv420p": "nv12", "yuv420p10le": "p010le"},
    "videotoolbox": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "p210le"},
}  # fmt: skip
"""Hardware encoders, by the last word of their names in FFmpeg -> planar format -> the one that they are fed,
with the same samples."""


@dataclass(frozen=True)
class Encoder:
    """An encoder with all its settings, each of which shapes bits."""

    codec: str
    name: str
    """FFmpeg's, such as "libx265"."""
    width: int
    height: int
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    """A constant by output size, never by the machine: x264's and x265's bits depend on it."""
    container: str = "matroska"
    """Muxer of the result, and of every chunk."""
    tag: str = ""
    """Codec tag the container wants."""

    @property
    def is_picture(self) -> bool:
        """Encodes pictures into files of their own."""
        return self.container in {"image2", "sequence"}

    @property
    def maker(self) -> str:
        """One of MAKERS; empty where software encodes."""
        word = self.name.rpartition("_")[2]
        return word if word in MAKERS else ""

    @property
    def fed_format(self) -> str:
        """In which format it takes frames."""
        if self.maker:
            return MAKERS[self.maker][self.pix_fmt]
        return PACKED.get((self.name, self.pix_fmt), self.pix_fmt)

    @property
    def picture_bytes(self) -> int:
        """What the samples of one frame take."""
        pixels = PixelFormat.parse(self.pix_fmt)
        sizes = (pixels.plane_size(number, self.width, self.height) for number in range(pixels.plane_count))
        return pixels.bytes_per_sample * sum(height * width for height, width in sizes)

    @property
    def is_sequence(self) -> bool:
        """Encodes a film as numbered pictures."""
        return self.container == "sequence"
