"""Refuses films of which no frame can be shown as intended, with the reason."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NoReturn

from models.errors import MediaError
from pipelines.file_parsing.encryption import is_scrambled

if TYPE_CHECKING:
    import os

    from pipelines.probe.packet_index import PacketWalk

__all__ = ["refuse_encrypted", "refuse_unseen"]


def refuse_encrypted(path: str | os.PathLike[str], format_name: str) -> NoReturn:
    """Raise MediaError, because the film can't be decoded without a key."""
    way = (
        "; if you have the key, decrypt it first: `ffmpeg -decryption_key KEY -i IN.mp4 -c copy OUT.mp4`"
        if format_name.startswith("mov")
        else ""
    )
    raise MediaError(
        f"{path}: its video is encrypted, and vsr can't decrypt; expected an unencrypted file{way}"
    )


def refuse_unseen(seen: PacketWalk, path: str | os.PathLike[str], *, is_tiff: bool) -> None:
    """Raise MediaError if no frame of the film can be shown as intended."""
    look = seen.look
    if not look.pts and is_scrambled(path):
        raise MediaError(
            f"{path}: is scrambled, and vsr can't descramble; expected a recording that was descrambled when"
            " it was made"
        )
    if not len(seen.index):
        raise MediaError(
            f"{path}: its video stream holds no packets; it may be only the start of a segmented video"
        )
    if not look.pts and _is_animated_webp(path):
        raise MediaError(
            f"{path}: is an animated WebP, which FFmpeg can't read; make a .gif, an animated .png or numbered"
            " pictures of it first"
        )
    if not look.pts:
        raise MediaError(
            f"{path}: no frame of its video can be decoded{': ' + look.error if look.error else ''}"
            f"{'; save it as a TIFF or PNG of 8 or 16 bits' if is_tiff else ''}"
        )
    if look.dolby_vision_only or seen.dynamic_hdr.facts.dolby_vision == 5:
        raise MediaError(
            f"{path}: is Dolby Vision without a base layer (profile 5, or 10.0), whose colours only its own"
            " player knows; expected HDR10, HLG, or Dolby Vision on top of one of them"
        )


def _is_animated_webp(path: str | os.PathLike[str]) -> bool:
    """Whether a WebP file has the animation flag in its header (container specification, VP8X)."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head = file.read(21)
        return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    return False
