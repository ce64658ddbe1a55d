"""Checks that docs/speed.md matches the files in docs/speed, which `vsr bench --share` writes.

`python -m tests.docs.test_speed` regenerates the page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import ROOT

FOLDER = ROOT / "docs" / "speed"
PAGE = ROOT / "docs" / "speed.md"
FILES = sorted(p for p in FOLDER.glob("*.json") if p.name != "schema.json")
_BUSY = 0.5
"""Of its cores, that were taken before a measurement began: its clock says little then."""

HEAD = """# Speed by machine

Each row is a file of `docs/speed`. To add yours, run `vsr bench --share docs/speed/NAME.json`, then `python -m tests.docs.test_speed`. The file names the
machine, versions and settings, and contains no personal data. [speed/schema.json](speed/schema.json) describes its fields.

Frames per second are those of the whole run, including encoding. CPU time is the sum over all cores, and hardly depends on other load. VMAF-NEG and Mbit/s
are measured on a copy of the clip that was scaled down by two and upscaled again with the same settings.

"""
COLUMNS = ("machine", "what", "settings", "fps", "CPU s per frame", "VMAF-NEG", "Mbit/s", "measured")


def page() -> str:
    lines = [
        COLUMNS,
        ("---",) * len(COLUMNS),
        *(row(json.loads(path.read_text(encoding="utf-8"))) for path in FILES),
    ]
    return HEAD + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def row(found: dict[str, Any]) -> tuple[str, ...]:
    machine, settings, speed, quality = (found[k] for k in ("machine", "settings", "speed", "quality"))
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"])
    size, made = (f"{width}×{height}" for width, height in (settings["source_size"], settings["size"]))
    options = settings["encoder_options"]
    encoder = " ".join(
        [settings["encoder"], *(f"{k} {options[k]}" for k in ("preset", "crf") if k in options)]
    )
    busy = machine["load_before"] > _BUSY * machine["cores"]
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {' '.join(machine['instructions'])}{gpus}; {machine['system']}",
        f"{size} → {made}, clip {settings['clip']}",
        f"{'+'.join(settings['networks'])} on {settings['device']}{' ' * bool(settings['precision'])}{settings['precision']}, {encoder}",
        f"({speed['fps']:.2f}, busy: load {machine['load_before']})" if busy else f"{speed['fps']:.2f}",
        f"{sum(speed['cpu_ms'].values()) / 1e3:.3f}",
        f"{quality['vmaf_neg']:.1f}",
        f"{quality['megabits_a_second']:.2f}",
        f"{found['date']}, vsr {found['versions']['vsr']}, torch {found['versions']['torch']}",
    )


def test_the_page_is_what_its_files_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.test_speed"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_file_fits_the_schema(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(path.read_text()), json.loads((FOLDER / "schema.json").read_text()))


STAGES = {"decode": 1.0, "check": 1.0, "network": 90.0, "encode": 30.0}
SAMPLE: dict[str, Any] = {
    "format": 1,
    "date": "2026-11-30",
    "machine": {
        "system": "Linux x86_64", "cpu": "Some CPU", "cores": 4, "instructions": ["AVX512"], "memory_gb": 16.0,
        "gpus": [], "load_before": 0.2,
    },
    "versions": {"vsr": "0.2.0", "python": "3.11.7", "torch": "2.15.0", "av": "18.1.0"},
    "settings": {
        "clip": "made by code", "source_size": [1920, 1080], "size": [3840, 2160], "networks": ["fast-x2"],
        "device": "auto", "precision": "", "encoder": "libx264", "encoder_options": {"crf": "18"},
        "pixel_format": "yuv420p",
    },
    "speed": {"fps": 8.0, "bound_fps": 9.0, "first_frame_seconds": 4.0, "stages_ms": STAGES, "cpu_ms": STAGES},
    "quality": {"size": [1920, 1080], "frames": 24, "vmaf_neg": 91.0, "megabits_a_second": 12.0},
}  # fmt: skip


def test_figures_of_a_busy_machine_are_marked() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(SAMPLE, json.loads((FOLDER / "schema.json").read_text()))
    assert row(SAMPLE)[3:5] == ("8.00", "0.122")
    busy = {**SAMPLE, "machine": {**SAMPLE["machine"], "load_before": 2.4}}
    assert row(busy)[3] == "(8.00, busy: load 2.4)"


def test_the_schema_refuses_what_says_whose_machine_it_is() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((FOLDER / "schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**SAMPLE, "host": "mine"}, schema)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
