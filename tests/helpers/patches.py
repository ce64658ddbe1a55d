"""Colours with known sample values, and the visible difference of two colours.

Written from the standards, without our code. R'G'B' is 0..1. `DeltaE` follows Sharma, Wu, Dalal: The
CIEDE2000 color-difference formula (2005).
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.helpers.view import decoded, planes

PATCHES = np.array(
    [
        (0.75, 0.75, 0.75), (0.75, 0.75, 0.0), (0.0, 0.75, 0.75), (0.0, 0.75, 0.0), (0.75, 0.0, 0.75), (0.75, 0.0, 0.0), (0.0, 0.0, 0.75),
        (0.04, 0.04, 0.04), (0.5, 0.5, 0.5), (0.94, 0.94, 0.94), (0.76, 0.58, 0.51), (0.34, 0.42, 0.27),
    ]
)  # fmt: skip
"""75 % bars, greys, skin and foliage."""
COLUMNS, ROWS, SIDE = 4, 3, 32

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""MatrixCoefficients -> K_R, K_B (BT.709 item 3.2, BT.601 clause 2.5.1, BT.2020 table 4)."""


def codes_of(rgb: np.ndarray, matrix: int, *, full: bool, bits: int) -> np.ndarray:
    """(..., 3) R'G'B' -> (..., 3) codes of Y'CbCr, rounded."""
    kr, kb = WEIGHTS[matrix]
    luma = kr * rgb[..., 0] + (1 - kr - kb) * rgb[..., 1] + kb * rgb[..., 2]
    blue, red = (rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)
    scale = 1 << (bits - 8)
    if full:
        top = (1 << bits) - 1
        values = [luma * top, blue * top + 128 * scale, red * top + 128 * scale]
    else:
        values = [(219 * luma + 16) * scale, (224 * blue + 128) * scale, (224 * red + 128) * scale]
    return np.clip(np.rint(np.stack(values, -1)), 0, (1 << bits) - 1)


def rgb_of(codes: np.ndarray, matrix: int, *, full: bool, bits: int) -> np.ndarray:
    """Reverse `codes_of`."""
    kr, kb = WEIGHTS[matrix]
    scale = 1 << (bits - 8)
    span, low, wide = (
        ((1 << bits) - 1, 0, (1 << bits) - 1) if full else (219 * scale, 16 * scale, 224 * scale)
    )
    luma, blue, red = (
        (codes[..., 0] - low) / span,
        (codes[..., 1] - 128 * scale) / wide,
        (codes[..., 2] - 128 * scale) / wide,
    )
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    return np.stack([r, (luma - kr * r - kb * b) / (1 - kr - kb), b], -1)


def board(pix_fmt: str, matrix: int, *, full: bool, bits: int) -> list[np.ndarray]:
    """The planes of a picture of all patches."""
    codes = codes_of(PATCHES.reshape(ROWS, COLUMNS, 3), matrix, full=full, bits=bits)
    large = codes.repeat(SIDE, 0).repeat(SIDE, 1).astype(np.uint8 if bits == 8 else np.uint16)
    step_x, step_y = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pix_fmt[3:6]]
    return [large[..., 0], large[::step_y, ::step_x, 1], large[::step_y, ::step_x, 2]]


def seen(frame: av.VideoFrame) -> np.ndarray:
    """(ROWS·COLUMNS, 3) R'G'B' at the centres of the patches, by the frame's own tags."""
    return seen_in(
        planes(frame),
        int(frame.colorspace),
        full=int(frame.color_range) == 2,
        bits=frame.format.components[0].bits,
    )


def seen_in(values: list[np.ndarray], matrix: int, *, full: bool, bits: int) -> np.ndarray:
    """Like `seen`, for planes."""
    means = []
    for plane in values:
        height, width = plane.shape[0] // ROWS, plane.shape[1] // COLUMNS
        middle = [(slice(y * height + height // 3, y * height + 2 * height // 3), slice(x * width + width // 3, x * width + 2 * width // 3))
                  for y in range(ROWS) for x in range(COLUMNS)]  # fmt: skip
        means.append([float(plane[m].mean()) for m in middle])
    return rgb_of(np.array(means).T, matrix, full=full, bits=bits)


def write_planes(
    path: Path,
    pictures: list[list[np.ndarray]],
    pix_fmt: str,
    tags: tuple[int, int, int, int],
    codec: str = "ffv1",
    **options: str,
) -> Path:
    """A lossless film of the given planes. tags: matrix, range, primaries, transfer.

    Zeros leave it untagged.
    """
    height, width = pictures[0][0].shape
    with av.open("file:" + str(path.absolute()), "w") as output:
        stream = output.add_stream(
            codec, rate=25, options={**({"qp": "0"} if codec == "libx264" else {}), **options}
        )
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = (
            width,
            height,
            pix_fmt,
            Fraction(1, 25),
        )
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        for number, values in enumerate(pictures):
            frame = av.VideoFrame(width, height, pix_fmt)
            for plane, part in zip(frame.planes, values, strict=True):
                rows = np.frombuffer(plane, part.dtype).reshape(-1, plane.line_size // part.itemsize)
                rows[: part.shape[0], : part.shape[1]] = part
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = tags
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def differences(path: Path) -> np.ndarray:
    """ΔE2000 between every patch of the first frame and its expected colour."""
    return delta_e_2000(lab(seen(decoded(path)[0])), lab(PATCHES))


def lab(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) R'G'B', seen as sRGB, -> CIELAB under D65 (IEC 61966-2-1)."""
    rgb = np.clip(rgb, 0, 1)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = (
        linear
        @ np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)]).T
        / (0.9505, 1.0, 1.089)
    )
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def delta_e_2000(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """CIEDE2000 of (..., 3) L*a*b* pairs, equations 2 to 22."""
    l1, a1, b1 = np.moveaxis(np.asarray(one, float), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(other, float), -1, 0)
    c_mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(grey, 0, np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn)))
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    total = h1 + h2
    hm = np.where(
        grey,
        total,
        np.where(np.abs(h1 - h2) <= 180, total / 2, np.where(total < 360, total / 2 + 180, total / 2 - 180)),
    )
    t = (
        1 - 0.17 * np.cos(np.radians(hm - 30)) + 0.24 * np.cos(np.radians(2 * hm))
        + 0.32 * np.cos(np.radians(3 * hm + 6)) - 0.20 * np.cos(np.radians(4 * hm - 63))
    )  # fmt: skip
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rt = -np.sin(np.radians(60 * np.exp(-(((hm - 275) / 25) ** 2)))) * 2 * np.sqrt(cm**7 / (cm**7 + 25.0**7))
    return np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh))
