"""Classes and arguments (of spandrel) of the networks in `models/catalog/index.toml`, and their arithmetic.

The arithmetic is counted by our counter. None of the files is here, so each network is checked by its size: a
checkpoint of these tensors has, within half a percent, the number of bytes that the index gives. `python -m
tests.models.catalog.index_networks` counts them all and prints differences from the index.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import torch

from models.catalog.model_index import shipped_index
from models.catalog.third_party import FlopCounter

_CLASSES = {
    "Compact": "Compact.__arch.SRVGG:SRVGGNetCompact", "ESRGAN": "ESRGAN.__arch.RRDB:RRDBNet", "RealPLKSR": "PLKSR.__arch.RealPLKSR:RealPLKSR",
    "SPAN": "SPAN.__arch.span:SPAN", "SwinIR": "SwinIR.__arch.SwinIR:SwinIR", "DAT": "DAT.__arch.DAT:DAT", "RGT": "RGT.__arch.rgt:RGT",
    "MoSR": "MoSR.__arch.mosr_arch:MoSR", "ATD": "ATD.__arch.atd_arch:ATD", "DRCT": "DRCT.__arch.drct_arch:DRCT", "RCAN": "RCAN.__arch.rcan_arch:RCAN",
    "HAT": "HAT.__arch.HAT:HAT",
}  # fmt: skip
_META = {"Compact", "ESRGAN", "RealPLKSR"}
"""Can be made and counted without any numbers."""

_DAT2 = {
    "embed_dim": 180,
    "split_size": [8, 32],
    "depth": [6] * 6,
    "num_heads": [6] * 6,
    "expansion_factor": 2,
    "upscale": 4,
}
_ATD = {"embed_dim": 210, "depths": [6] * 6, "num_heads": [6] * 6, "window_size": 16, "category_size": 256, "num_tokens": 128, "reducted_dim": 20,
        "mlp_ratio": 2, "upscale": 4, "upsampler": "pixelshuffle"}  # fmt: skip
_SWIN_M = {
    "window_size": 8,
    "embed_dim": 180,
    "depths": [6] * 6,
    "num_heads": [6] * 6,
    "mlp_ratio": 2,
    "upsampler": "nearest+conv",
}
_SWIN_L = {"window_size": 8, "embed_dim": 240, "depths": [6] * 9, "num_heads": [8] * 9, "mlp_ratio": 2, "upsampler": "nearest+conv",
           "resi_connection": "3conv"}  # fmt: skip
_HAT_S = {
    "embed_dim": 144,
    "depths": [6] * 6,
    "num_heads": [6] * 6,
    "window_size": 16,
    "compress_ratio": 24,
    "squeeze_factor": 24,
    "mlp_ratio": 2,
}
_DRCT_L = {
    "embed_dim": 180,
    "depths": [6] * 12,
    "num_heads": [6] * 12,
    "window_size": 16,
    "mlp_ratio": 2,
    "upscale": 4,
    "upsampler": "pixelshuffle",
}
_RGT_S = {
    "embed_dim": 180,
    "depth": [6] * 6,
    "num_heads": [6] * 6,
    "mlp_ratio": 2,
    "split_size": [8, 32],
    "upscale": 4,
}
_SHUFFLED = {"scale": 4, "in_nc": 12, "shuffle_factor": 2}
_SMALL_PLKSR = {"upscaling_factor": 1, "n_blocks": 12, "kernel_size": 13, "use_ea": False}


def _span(scale: int, channels: int = 48) -> tuple[str, dict[str, Any]]:
    return "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": channels, "upscale": scale}


NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "RealESRGAN_x4plus": ("ESRGAN", {"scale": 4}),
    "RealESRGAN_x2plus": ("ESRGAN", _SHUFFLED),
    "RealESRGAN_x4plus_anime_6B": ("ESRGAN", {"scale": 4, "num_blocks": 6}),
    "realesr-general-x4v3": ("Compact", {"num_conv": 32}),
    "realesr-general-wdn-x4v3": ("Compact", {"num_conv": 32}),
    "realesr-animevideov3": ("Compact", {}),
    "RealESRGANv2-animevideo-xsx2": ("Compact", {"upscale": 2}),
    "RealESRGANv2-animevideo-xsx4": ("Compact", {}),
    "BSRGAN": ("ESRGAN", {"scale": 4}),
    "BSRGANx2": ("ESRGAN", {"scale": 2}),
    "SwinIR-M-x2-GAN": ("SwinIR", {**_SWIN_M, "upscale": 2}),
    "SwinIR-M-x4-GAN": ("SwinIR", {**_SWIN_M, "upscale": 4}),
    "SwinIR-L-x4-GAN": ("SwinIR", {**_SWIN_L, "upscale": 4}),
    "1xDeH264_realplksr": ("RealPLKSR", {"upscaling_factor": 1, "layer_norm": True}),
    "1xDeJPG_realplksr_otf": ("RealPLKSR", {"upscaling_factor": 1, "layer_norm": True}),
    "1xDeNoise_realplksr_otf": ("RealPLKSR", {"upscaling_factor": 1, "layer_norm": True}),
    "4xNomosWebPhoto_RealPLKSR": ("RealPLKSR", {}),
    "4xNomosWebPhoto_esrgan": ("ESRGAN", {"scale": 4}),
    "4xNomosWebPhoto_atd": ("ATD", _ATD),
    "4xNomos2_realplksr_dysample": ("RealPLKSR", {"dysample": True}),
    "4xNomos2_otf_esrgan": ("ESRGAN", {"scale": 4}),
    "4xNomos2_hq_dat2": ("DAT", _DAT2),
    "4xNomos2_hq_atd": ("ATD", _ATD),
    "4xNomos2_hq_mosr": ("MoSR", {"upscale": 4}),
    "4xNomos2_hq_drct-l": ("DRCT", _DRCT_L),
    "4xNomos8kSC": ("ESRGAN", {"scale": 4}),
    "4xNomos8kSCHAT-S": ("HAT", {**_HAT_S, "upscale": 4}),
    "4xRealWebPhoto_v4_dat2": ("DAT", _DAT2),
    "4xRealWebPhoto_v2_rgt_s": ("RGT", _RGT_S),
    "4xLSDIRplus": ("ESRGAN", {"scale": 4}),
    "4xPurePhoto-span": _span(4),
    "4xPurePhoto-RealPLSKR": ("RealPLKSR", {}),
    "2xVHS2HD-RealPLKSR": ("RealPLKSR", {"upscaling_factor": 2}),
    "2x_Text2HD_v.1-RealPLKSR": ("RealPLKSR", {"upscaling_factor": 2}),
    "1xSPANGELION": _span(1),
    "1xSPANGELION_SHARP": _span(1),
    "1x-BroadcastToStudio_Compact": ("Compact", {"upscale": 1}),
    "1x_StarSample_V2.0_Lite_NS": _span(1),
    "1x-UnResizeOnly_RCAN": ("RCAN", {"scale": 1, "unshuffle_mod": True}),
    "1x-SuperScale_SPAN": _span(1),
    "1x-SuperScale_RPLKSR_S": ("RealPLKSR", _SMALL_PLKSR),
    "2xHFA2kAVCCompact": ("Compact", {"upscale": 2}),
    "2x_Ani4Kv2_Compact": ("Compact", {"upscale": 2}),
    "2x_AniScale2S_Compact": ("Compact", {"upscale": 2}),
    "2x_AniScale2_ESRGAN_Lite": ("ESRGAN", {"scale": 2, "num_filters": 32, "num_blocks": 12}),
    "2x-AnimeSharpV3": ("ESRGAN", _SHUFFLED),
    "2x-AnimeSharpV3_RCAN": ("RCAN", {"scale": 2}),
    "2x-AnimeSharpV4_RCAN": ("RCAN", {"scale": 2}),
    "2x-AnimeSharpV4_Fast_RCAN_PU": ("RCAN", {"scale": 2, "unshuffle_mod": True}),
    "2x-AnimeSharpV2_RPLKSR_Soft": ("RealPLKSR", {"upscaling_factor": 2}),
    "2x_ModernSpanimationV1": _span(2, 64),
    "4xHFA2k": ("ESRGAN", {"scale": 4}),
    "4xHFA2k_ludvae_realplksr_dysample": ("RealPLKSR", {"dysample": True}),
    "2x.StarSample.V1.0": ("Compact", {"upscale": 2}),
    "2x_StarSample_V2.0_Lite": _span(2),
    "4xDrawimation-compact": ("Compact", {}),
    "2xAoMR_mosr": ("MoSR", {"upscale": 2}),
    "4x-PBRify_UpscalerSPANV4": _span(4),
    "4x-PBRify_RPLKSRd_V3": ("RealPLKSR", {"dysample": True}),
    "4xTextureDAT2_otf": ("DAT", _DAT2),
}
"""Name in the index -> architecture and arguments."""


def built(architecture: str, settings: dict[str, Any]) -> torch.nn.Module:
    """The network of that class, without numbers where it can be had so."""
    module, _, name = _CLASSES[architecture].partition(":")
    kind = getattr(importlib.import_module(f"spandrel.architectures.{module}"), name)
    with torch.device("meta" if architecture in _META else "cpu"):
        network: torch.nn.Module = kind(**settings).eval()
    return network


_TINY: dict[str, dict[str, Any]] = {
    "Compact": {"num_feat": 8, "num_conv": 2},
    "ESRGAN": {"num_filters": 8, "num_blocks": 1},
    "RealPLKSR": {"dim": 16, "n_blocks": 1, "kernel_size": 5},
    "SPAN": {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8},
    "SwinIR": {**_SWIN_M, "embed_dim": 12, "depths": [2], "num_heads": [2]},
    "DAT": {**_DAT2, "embed_dim": 32, "split_size": [8, 8], "depth": [2], "num_heads": [2]},
    "RGT": {**_RGT_S, "embed_dim": 32, "split_size": [8, 8], "depth": [2], "num_heads": [2]},
    "MoSR": {"n_block": 1, "dim": 16},
    "ATD": {
        **_ATD,
        "embed_dim": 12,
        "depths": [2],
        "num_heads": [2],
        "window_size": 8,
        "num_tokens": 8,
        "reducted_dim": 4,
    },
    "DRCT": {**_DRCT_L, "embed_dim": 12, "depths": [6], "num_heads": [2], "window_size": 8, "gc": 4},
    "RCAN": {"n_resgroups": 1, "n_resblocks": 1, "n_feats": 16},
    "HAT": {
        **_HAT_S,
        "embed_dim": 12,
        "depths": [2],
        "num_heads": [2],
        "window_size": 8,
        "num_feat": 16,
        "compress_ratio": 3,
        "squeeze_factor": 3,
    },
}
_SCALE = {"RealPLKSR": "upscaling_factor", "ESRGAN": "scale", "RCAN": "scale"}


def tiny(architecture: str, scale: int) -> torch.nn.Module:
    """A network of the class, as small as it may be, with random weights."""
    module, _, name = _CLASSES[architecture].partition(":")
    settings = {**_TINY[architecture], _SCALE.get(architecture, "upscale"): scale}
    network: torch.nn.Module = getattr(importlib.import_module(f"spandrel.architectures.{module}"), name)(
        **settings
    )
    return network.eval()


def is_cheap(architecture: str) -> bool:
    """Whether counting costs no arithmetic."""
    return architecture in _META


def count(network: torch.nn.Module, architecture: str) -> float:
    """Its arithmetic for a megapixel of input, by the counter that every network of others goes through."""
    counter = FlopCounter()
    with torch.no_grad():
        for side in (64, 128):
            counter(network, torch.zeros(1, 3, side, side, device="meta" if architecture in _META else "cpu"))
    return counter.gflop_per_megapixel


def main() -> int:
    """Count all, and print what the index has otherwise."""
    known: dict[str, float] = {}
    for name, (architecture, settings) in NETWORKS.items():
        key = json.dumps([architecture, settings])
        if key not in known:
            known[key] = round(count(built(architecture, settings), architecture), 1)
        entry = next((e for e in shipped_index() if e.name == name), None)
        found = None if entry is None else entry.gflop_per_megapixel
        if found != known[key]:
            print(f"{name}: counted {known[key]}, the index says {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
