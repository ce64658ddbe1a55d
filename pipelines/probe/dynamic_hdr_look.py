"""`DynamicHdrLook`: which dynamic HDR metadata a film's packets have, and whether it can be carried over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.media.bitstream import CAPTIONS
from pipelines.media.dolby_vision import parse_rpu
from pipelines.media.dynamic_hdr import dynamic_hdr_of, hdr10_plus_windows
from pipelines.media.video_info import DynamicHdrFacts

if TYPE_CHECKING:
    from pipelines.media.dynamic_hdr import DynamicHdr

__all__ = ["DynamicHdrLook"]


_CAPTIONS = (CAPTIONS, b"\x00\x00\x01\xb2CC\x01\xf8")
"""In user data, and of DVDs in that of MPEG-2."""


class DynamicHdrLook:
    """Gets the first packets of a film, and its key packets."""

    def __init__(self) -> None:
        self._hdr10_plus = False
        self.captions = False
        """Closed captions are in a packet; they may begin after the first frames."""
        self._dolby_vision = 0
        self._flaws = {"hdr10+": "", "dolby vision": ""}

    def see(self, codec: str, data: bytes, length_size: int, side: tuple[tuple[str, bytes], ...]) -> None:
        """Examine a packet, with its side data."""
        self.captions = self.captions or any(mark in data for mark in _CAPTIONS)
        found = dynamic_hdr_of(codec, data, length_size, side)
        if found.hdr10_plus:
            self._hdr10_plus = True
            if hdr10_plus_windows(found.hdr10_plus) != 1:
                self._flaws["hdr10+"] = (
                    "it treats parts of the picture on their own, by places in the smaller picture"
                )
        if found.dolby_vision:
            self._see_rpu(found)

    def _see_rpu(self, found: DynamicHdr) -> None:
        try:
            rpu = parse_rpu(found.dolby_vision)
        except ValueError as error:
            self._flaws["dolby vision"] = f"it can't be read: {error}"
            return
        self._dolby_vision = rpu.profile
        if rpu.is_chained:
            self._flaws["dolby vision"] = (
                "it refers to that of earlier frames, which come in another order in the result"
            )

    @property
    def facts(self) -> DynamicHdrFacts:
        """The facts found in the packets so far."""
        return DynamicHdrFacts(
            self._hdr10_plus, self._flaws["hdr10+"], self._dolby_vision, self._flaws["dolby vision"]
        )
