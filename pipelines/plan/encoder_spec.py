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
"""File suffix -> encoder, for images."""

PACKED = {
    ("png", "gbrp"): "rgb24", ("png", "gbrap"): "rgba", ("png", "gbrp16le"): "rgb48be", ("png",
    "gbrap16le"): "rgba64be", ("png", "gray16le"): "gray16be", ("png", "ya16le"): "ya16be", ("tiff",
    "gbrp"): "rgb24", ("tiff", "gbrap"): "rgba", ("tiff", "gbrp16le"): "rgb48le", ("tiff",
    "gbrap16le"): "rgba64le", ("dpx", "gbrp"): "rgb24", ("dpx", "gbrap"): "rgba", ("dpx",
    "gbrp16le"): "rgb48le", ("dpx", "gbrap16le"): "rgba64le", ("ffv1", "gbrp"): "bgr0", ("ffv1",
    "gbrap"): "bgra",
}  # fmt: skip
"""(encoder, planar format) -> packed format with the same samples, for encoders without a planar one."""

MAKERS = {
    "nvenc": {
        "yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p": "nv16", "yuv422p10le": "p210le",
        "yuv444p": "yuv444p", "yuv444p10le": "yuv444p16le",
    },
    "qsv": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "y210le", "yuv444p": "vuyx",
    "yuv444p10le": "xv30le"}, "amf": {"yuv420p": "nv12", "yuv420p10le": "p010le"},
    "videotoolbox": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "p210le"},
}  # fmt: skip
"""Hardware encoders, by the last word of their names in FFmpeg -> planar format -> format of their input,
with the same samples."""


@dataclass(frozen=True)
class Encoder:
    """An encoder with all settings that affect bits."""

    codec: str
    name: str
    """FFmpeg's, such as "libx265"."""
    width: int
    height: int
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    """A constant by output size, never by the machine: the bits of x264 and x265 depend on it."""
    container: str = "matroska"
    """Muxer of the output, and of every chunk."""
    tag: str = ""
    """Codec tag that the container requires."""

    @property
    def is_picture(self) -> bool:
        """Whether it encodes each frame as a separate image file."""
        return self.container in {"image2", "sequence"}

    @property
    def maker(self) -> str:
        """One of MAKERS; empty for software encoders."""
        word = self.name.rpartition("_")[2]
        return word if word in MAKERS else ""

    @property
    def fed_format(self) -> str:
        """Pixel format of its input."""
        if self.maker:
            return MAKERS[self.maker][self.pix_fmt]
        return PACKED.get((self.name, self.pix_fmt), self.pix_fmt)

    @property
    def pixels(self) -> PixelFormat:
        """`pix_fmt`, parsed."""
        return PixelFormat.parse(self.pix_fmt)

    @property
    def picture_bytes(self) -> int:
        """Size of the samples of one frame."""
        pixels = self.pixels
        sizes = (pixels.plane_size(number, self.width, self.height) for number in range(pixels.plane_count))
        return pixels.bytes_per_sample * sum(height * width for height, width in sizes)

    @property
    def is_sequence(self) -> bool:
        """Whether it encodes a film as an image sequence."""
        return self.container == "sequence"
