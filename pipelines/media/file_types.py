"""File name suffixes of videos and images, and the matching files of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PHOTO_SUFFIXES", "PICTURE_SUFFIXES", "VIDEO_SUFFIXES", "find_inputs"]


PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
PHOTO_SUFFIXES = PICTURE_SUFFIXES | {".heic", ".heif", ".avif"}
"""Suffixes of pictures that can be upscaled. Those of `PICTURE_SUFFIXES` can also be numbered, and be
training data."""
VIDEO_SUFFIXES = frozenset(
    {
        *(
            ".mp4",
            ".m4v",
            ".mov",
            ".qt",
            ".3gp",
            ".3g2",
            ".mkv",
            ".mk3d",
            ".webm",
            ".avi",
            ".divx",
            ".flv",
            ".f4v",
            ".asf",
            ".wmv",
            ".rm",
            ".rmvb",
            ".ogv",
            ".ogm",
        ),
        *(
            ".ts",
            ".m2ts",
            ".mts",
            ".m2t",
            ".trp",
            ".tp",
            ".mpg",
            ".mpeg",
            ".mpe",
            ".m2p",
            ".vob",
            ".vro",
            ".mod",
            ".tod",
            ".m1v",
            ".m2v",
            ".wtv",
        ),
        *(".dv", ".mxf", ".gxf", ".nut", ".gif", ".y4m", ".ivf", ".obu", ".h264", ".264", ".hevc", ".265"),
    }
)
"""Suffixes that are searched for in folders: containers of `demuxer.FORMATS`, and raw streams."""


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """The given files, and the images and videos directly in given folders, sorted by name.

    Raises UsageError if a path does not exist or a folder contains neither.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(
                p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
            )
            if not inside:
                raise UsageError(
                    f"{path}: holds no video and no picture; expected files such as .mp4, .mkv, .png, .jpg,"
                    " .webp"
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such file or folder")
    return found
