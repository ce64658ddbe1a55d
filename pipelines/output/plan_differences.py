"""The differences between two plans, in words of the command line."""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from models.catalog.lookup import cards
from pipelines.plan.plan_id import bit_shaping_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipelines.media.video_info import Chunk

__all__ = ["Cut", "earlier_options", "plan_differences"]


Cut: TypeAlias = "Callable[[float], Sequence[Chunk]]"
"""The chunks of a plan with another `--chunk-seconds`."""
_FORMER_SECONDS = 6.0
"""Length of all chunks in plans of versions before 0.2.0, by default."""
_WHOLE_SECONDS = (*range(1, 61), 90, 120, 180, 240, 300, 600)
_WORDS = {
    "source_fingerprint": "the input's content",
    "stream_index": "--video-stream",
    "target": "--target-size or --target-vmaf",
    "out_width": "the target size",
    "out_height": "the target size",
    "chunks": "how the video is cut (--chunk-seconds, --range)",
    "spans": "how the video is cut (--chunk-seconds, --range)",
    "start_frame": "--range",
    "stop_frame": "--range",
    "linear": "whether frames are counted by decoding",
    "on_corrupt": "--on-corrupt",
    "deinterlacing": "--deinterlace",
    "pulldown": "--deinterlace",
    "prefilter": "--prefilter",
    "strength": "--strength",
    "crop": "--crop-bars",
    "bars": "--crop-bars",
    "sar": "--square-pixels",
    "grain": "--keep-grain",
    "dynamic_hdr": "--dynamic-hdr",
    "tile_px": "--tile",
    "rate": "--deinterlace",
    "time_base": "--deinterlace",
    "format": "the version of vsr",
    "precision": "--precision, or how the GPU computes (another one, or another driver)",
    "restore_levels": "how damaged the footage was found to be",
    "detail_levels": "--detail, or how damaged the footage was found to be",
    "memory_format": "how the GPU computes (another one, or another driver)",
}


def plan_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Differences that affect bits, in words."""
    words = {**_WORDS, "stages": "the target size"}
    with contextlib.suppress(AttributeError, KeyError, TypeError):  # the stored plan may have any form
        before, now = _models(old), _models(new)
        old, new = bit_shaping_fields(old), bit_shaping_fields(new)
        if [s["card"] for s in old["stages"]] != [s["card"] for s in new["stages"]]:
            words["stages"] = (
                f"the model ({before} before, {now} now)" if before != now else f"the weights of {now}"
            )
        elif any(
            (a.get("restore"), a.get("detail")) != (b.get("restore"), b.get("detail"))
            for a, b in zip(old["stages"], new["stages"], strict=False)
        ):
            words["stages"] = "--restore, --detail, or how damaged the footage was found to be"
    words["encoder"] = _encoder_words(old.get("encoder"), new.get("encoder"))
    precisions = [plan.get("precision") for plan in (old, new)]
    if "int8" in precisions:
        before, now = (str(precision or "the device's default") for precision in precisions)
        words["precision"] = f"--precision ({before} before, {now} now)"
    keys = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    named = dict.fromkeys(words.get(key, key.replace("_", " ")) for key in keys if key != "timing_digest")
    return [word for word in named if word] or ["the input's timing"]


def _encoder_words(old: Any, new: Any) -> str:
    """The options that make two encoders differ, with their values."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return "the encoder's settings"
    options = [encoder.get("options") or {} for encoder in (old, new)]
    pairs = {option: (old.get(key), new.get(key)) for key, option in _ENCODER_OPTIONS.items()}
    for key in dict.fromkeys((*options[0], *options[1])):
        pairs[_OWN_OPTIONS.get(key, f"--encoder-option {key}")] = (options[0].get(key), options[1].get(key))
    is_resized = any(old.get(side) != new.get(side) for side in ("width", "height"))
    if old.get("codec") != new.get("codec"):  # all others follow from that
        pairs = {"--codec": pairs["--codec"]}
    elif is_resized:  # so do threads and slices from the size, which is named elsewhere
        pairs = {option: pair for option, pair in pairs.items() if "option " not in option}
    changed = [
        f"{option} ({'none' if a is None else a} before, {'none' if b is None else b} now)"
        for option, (a, b) in pairs.items()
        if a != b
    ]
    return ", ".join(changed) or ("" if is_resized else "the encoder's settings")


_ENCODER_OPTIONS = {"codec": "--codec", "name": "--encoder", "pix_fmt": "--pixel-format"}
_OWN_OPTIONS = {"crf": "--crf", "preset": "--preset", "profile": "--preset"}


def _models(plan: dict[str, Any]) -> str:
    """Names of a plan's networks, joined by +."""
    return "+".join(stage["card"]["name"] for stage in plan["stages"])


def earlier_options(old: dict[str, Any], new: dict[str, Any], device: str, cut: Cut | None = None) -> str:
    """The options with which a run uses networks, restoration level, integers and chunks of an old plan.

    Empty if the new plan has the same, or if there is no such option. device: the one that made the old
    plan's chunks.
    """
    options = []
    with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
        if _models(old) != _models(new):
            options.append(_model_option(old["stages"][0]["card"], device))
        before, now = ([stage.get("restore") for stage in plan["stages"]] for plan in (old, new))
        level = next((level for level in before if level is not None), None)
        is_one = not old.get("restore_levels")
        if level is not None and is_one and (before != now or new.get("restore_levels")):
            options.append(f"--restore {level:g}")
    if old.get("precision") == "int8" != new.get("precision"):
        options.append("--precision int8 on a CPU with VNNI or AMX")
    if cut is not None and (seconds := _chunk_seconds(old, new, cut)) is not None:
        options.append(f"--chunk-seconds {seconds:g}")
    return " ".join(options)


def _chunk_seconds(old: dict[str, Any], new: dict[str, Any], cut: Cut) -> float | None:
    """The `--chunk-seconds` that cuts the film as an old plan did; None if it is cut so, or if none does."""
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        is_same_part = all(old[key] == new[key] for key in ("start_frame", "stop_frame", "linear"))
        if old["chunks"] == new["chunks"] or not is_same_part:
            return None
        longest = max(chunk["stop_frame"] - chunk["start_frame"] for chunk in old["chunks"])
        about = longest / float(Fraction(new["rate"]))
        whole = sorted(_WHOLE_SECONDS, key=lambda seconds: abs(seconds - about))
        for seconds in (_FORMER_SECONDS, *whole, round(about, 1), round(about, 2)):
            if [asdict(chunk) for chunk in cut(seconds)] == old["chunks"]:
                return float(seconds)
    return None


def _model_option(card: dict[str, Any], device: str) -> str:
    name, path = str(card["name"]), str(card["path"])
    model = re.sub(r"-x\d+$", "", name) if not path or any(c.name == name for c in cards()) else path
    return f"--model {model}{f' --device {device}' if device else ''}"
