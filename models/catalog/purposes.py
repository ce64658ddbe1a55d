"""`PURPOSES`: what each family of networks is for, in display order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.catalog.card import INTERPOLATORS, TRAINED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.catalog.card import Card

__all__ = ["PURPOSES", "YOURS", "by_purpose", "description"]


YOURS = "your own"
_CLASSICAL = "classical scalers"
PURPOSES = {
    "films and games from clean sources": {
        "fast": "the default on a CPU; 8 convolutions of 32 channels",
        "quality": "the default with a GPU; 10 convolutions of 64 channels",
        "recurrent": (
            "detail too fine for one frame, by its neighbours and a memory; 10 convolutions of 96 channels"
        ),
    },
    "restoration of compressed, noisy or blurred footage": {
        "real-fast": "coding damage and noise, at the cost of fast; --restore says how much",
        "real": "coding damage and noise, at the cost of quality; --restore says how much",
        "deconvolution": (
            "blur and noise, at the same size (x1, as in --model deconvolution-x1,fast) or doubled"
        ),
    },
    _CLASSICAL: dict(INTERPOLATORS),
    "research, to compare and to learn from": {
        "srcnn": "SRCNN: enlarged first, then three convolutions at full size",
        "espcn": "ESPCN: three convolutions at the small size, sub-pixel output",
        "edsr": "EDSR, small: 3 residual blocks of 64 channels",
        "progressive": "LapSRN, small: one level of a pyramid that doubles",
        "backprojection": "DBPN, small: two up-projections and a down-projection",
        "cosine": "three convolutions of 64, 128 and 64 channels, with a cosine-similarity loss",
        "cosine-plain": "the same without the cosine-similarity loss",
        "autoencoder": "encoder of 32, 64 and 128 channels, decoder with skips",
        "vae": "variational autoencoder with a decoder that sees the frame",
        "adversarial": "SRGAN: edsr's blocks against a discriminator; invents detail",
        "diffusion": "detail that bicubic lacks, denoised in 4 steps",
    },
}
"""Heading -> family -> what it is for, and how it is built."""


def by_purpose(cards: Iterable[Card]) -> dict[str, list[list[Card]]]:
    """Heading -> families, each with its scales. Networks without an entry are listed as the user's own."""
    heading_of = {family: heading for heading, families in PURPOSES.items() for family in families}
    order = [*heading_of]
    found: dict[str, dict[str, list[Card]]] = {heading: {} for heading in (*PURPOSES, YOURS)}
    for card in cards:
        found[heading_of[card.family] if _is_ours(card) and card.family in heading_of else YOURS].setdefault(
            card.family, []
        ).append(card)
    return {
        heading: [
            families[name]
            for name in sorted(families, key=lambda n: (order.index(n) if n in order else len(order), n))
        ]
        for heading, families in found.items()
        if families
    }


def description(card: Card) -> str:
    """What a network is for; for networks without an entry, the description in their card."""
    if _is_ours(card):
        return next(
            (families[card.family] for families in PURPOSES.values() if card.family in families),
            card.description,
        )
    return card.description


def _is_ours(card: Card) -> bool:
    return not card.path or card.path.startswith(str(TRAINED))
