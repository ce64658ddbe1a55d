"""What the id of a plan covers, and that work stored under an older form of the id is recognised."""

from __future__ import annotations

import dataclasses
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from models.catalog.card import Card
from models.catalog.lookup import find_cards
from models.errors import UsageError
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import Orientation
from pipelines.media.video_info import Chunk, Span
from pipelines.output.journal import Journal, read_job, work_folder
from pipelines.plan.events import AlreadyDone, ChunkFinished
from pipelines.plan.output_names import report_path
from pipelines.plan.plan import NetworkStage, Plan
from pipelines.plan.plan_id import former_id, plan_id
from pipelines.run.job import upscale_video
from pipelines.settings.encoder_spec import Encoder
from tests import media
from tests.helpers.inline import QUICK, planned_of, upscaled
from tests.helpers.view import view
from vsr.api import run_settings

CARD = Card(
    "fast-x2", 2, "cascade", "for clean sources", 100, "yuv420", "ab" * 32, "/models/fast-x2.safetensors", {"width": 32}, 12.5, 9,
    more={"scores": {"psnr": 30.5}},
)  # fmt: skip
FORMER = "4d19332570887db989f5565d465f138afe5f48b26a1839650ba304296c4aec24"
"""Of this very plan, as versions gave it that hashed whole cards."""


def plan_of(card: Card = CARD) -> Plan:
    color, chunks = ColorTags(1, 1, 1, 1, 1), (Chunk(0, 0, 10), Chunk(1, 10, 20))
    return Plan(
        "f00d", 0, 64, 48, 128, 96, Fraction(1), Orientation(), "yuv420p", "yuv420p", color, color, (NetworkStage(card, 128, 96),),
        Encoder("h264", "libx264", 128, 96, "yuv420p", {"crf": "18"}, 4), Fraction(1, 24), Fraction(24), 0, 20, False, "fail", "beef", chunks,
        tuple(Span(c.start_frame, c.stop_frame, (c,)) for c in chunks), (544, 960),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "shapes_bits"),
    [
        ({"path": "/elsewhere/fast-x2.safetensors"}, False),
        ({"name": "renamed-x2"}, False),
        ({"description": "another text"}, False),
        ({"parameters": 101}, False),
        ({"gflop_per_megapixel": 13.0}, False),
        ({"more": {"training": {"steps": 1}, "scores": {}}}, False),
        ({"sha256": "cd" * 32}, True),
        ({"architecture": "other"}, True),
        ({"settings": {"width": 64}}, True),
        ({"scale": 3}, True),
        ({"pixels": "rgb"}, True),
        ({"halo_px": None}, True),
        ({"past": 1}, True),
        ({"future": 1}, True),
        ({"recurrent": True}, True),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_of_a_card_the_id_covers_what_shapes_bits(change: dict[str, Any], shapes_bits: bool) -> None:
    """Case 42."""
    assert (plan_of(dataclasses.replace(CARD, **change)).id != plan_of().id) == shapes_bits


def test_every_field_of_a_card_is_judged() -> None:
    judged = {next(iter(m)) for m, _ in test_of_a_card_the_id_covers_what_shapes_bits.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert judged == {f.name for f in dataclasses.fields(Card)}


def test_all_else_of_a_plan_is_in_its_id() -> None:
    """Case 42."""
    table = plan_of().to_json()
    for key in table.keys() - {"stages"}:
        assert plan_id({**table, key: "other"}) != plan_of().id, key
    assert plan_id({**table, "stages": [{**table["stages"][0], "width": 130}]}) != plan_of().id


def test_the_former_id_is_the_one_that_former_versions_gave() -> None:
    """Case 45: of the plan's values as they stood then; a field that is added later makes it another."""
    table = plan_of().to_json()
    assert former_id({**table, "format": 2}) == FORMER
    assert plan_of().ids == {plan_id(table), former_id(table)}


def test_the_id_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 60: a film of ten hours has thousands of chunks, each of which is kept under it."""
    looked: list[Plan] = []
    honest = Plan.to_json
    monkeypatch.setattr(Plan, "to_json", lambda plan: looked.append(plan) or honest(plan))
    plan = plan_of()
    assert len({plan.id for _ in range(100)}) == len(looked) == 1
    assert dataclasses.replace(plan, tile_px=(96, 96)).id != plan.id


# --- through the job


NETWORK: dict[str, Any] = {"scale": 2, "chunk_seconds": 0.25}


@pytest.fixture
def film(tmp_path: Path, inline: None) -> Path:
    return media.cfr(tmp_path / "in.mp4", frames=20, size=(64, 48), rate=Fraction(25))


def weights_in(folder: Path, **told: str) -> Path:
    """A copy of a network that comes with us, whose card says something else."""
    folder.mkdir()
    origin = Path(find_cards("fast-x2")[0].path)
    shutil.copy(origin, folder)
    text = origin.with_suffix(".toml").read_text()
    for key, value in told.items():
        text = "\n".join(
            f"{key} = {json.dumps(value)}" if line.startswith(f"{key} = ") else line
            for line in text.splitlines()
        )
    (folder / "fast-x2.toml").write_text(text)
    return folder / "fast-x2.safetensors"


def begun(source: Path, output: Path, chunks: int, **settings: Any) -> None:
    """A run that ends behind so many chunks."""
    events = upscale_video(source, output, run_settings(**{**QUICK, **settings}))
    while chunks:
        chunks -= isinstance(next(events), ChunkFinished)
    events.close()  # type: ignore[attr-defined]


def as_formerly(work: Path) -> None:
    """Give a work directory the ids of a former version."""
    told = json.loads((work / "plan.json").read_text())
    former = former_id(told["plan"])
    (work / "plan.json").write_text(json.dumps({**told, "id": former, "asked": former}))
    for manifest in work.glob("[0-9]*.json"):
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "plan": former}))


def test_the_same_weights_elsewhere_go_on_with_what_is_done(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases 38 and 45: by an absolute path, a relative one, and with another text on the card."""
    output = tmp_path / "out.mkv"
    begun(film, output, 2, model=str(weights_in(tmp_path / "a")), **NETWORK)
    elsewhere = weights_in(tmp_path / "b", description="moved")
    monkeypatch.chdir(tmp_path)
    events = upscaled(film, output, model=str(elsewhere.relative_to(tmp_path)), **NETWORK)
    assert planned_of(events).chunks_done == 2
    assert isinstance(upscaled(film, output, model="fast-x2", **NETWORK)[-1], AlreadyDone)


def test_a_journal_of_a_former_version_goes_on(film: Path, tmp_path: Path) -> None:
    """Case 38."""
    whole, output = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    upscaled(film, whole, model="fast-x2", **NETWORK)
    begun(
        film, output, 2, model=str(weights_in(tmp_path / "a", description="as it was said then")), **NETWORK
    )
    as_formerly(work_folder(output))
    begun(film, output, 1, model="fast-x2", **NETWORK)
    assert sorted(read_job(work_folder(output)).done) == [0, 1, 2], (
        "chunks of both versions belong to one run"
    )
    assert planned_of(upscaled(film, output, model="fast-x2", **NETWORK)).chunks_done == 3
    assert view(output).film.payloads == view(whole).film.payloads


def test_a_result_of_a_former_version_is_known(film: Path, tmp_path: Path) -> None:
    """Case 45."""
    output = tmp_path / "out.mkv"
    former = former_id(planned_of(upscaled(film, output, **QUICK)).plan.to_json())
    report = json.loads(report_path(output).read_text())
    del report["id_format"]
    report_path(output).write_text(json.dumps({**report, "plan": former, "asked": former}))
    assert isinstance(upscaled(film, output, **QUICK)[-1], AlreadyDone)


def test_a_result_that_may_be_of_a_former_version_is_kept_and_the_doubt_is_said(
    film: Path, tmp_path: Path
) -> None:
    """Case 51: its id was made of the place where the weights lay then, which nobody knows now."""
    output = tmp_path / "out.mkv"
    report = upscaled(film, output, **QUICK)[-1].report  # type: ignore[union-attr]
    data = output.read_bytes()
    with pytest.raises(UsageError, match="was made with other settings; give --overwrite"):
        upscaled(film, output, codec="h264")
    report_path(output).write_text(
        json.dumps({k: v for k, v in report.items() if k != "id_format"} | {"plan": "0", "asked": "0"})
    )
    with pytest.raises(
        UsageError, match="or by a former version of vsr with networks that lay elsewhere; give --overwrite"
    ):
        upscaled(film, output, **QUICK)
    assert output.read_bytes() == data


def test_a_card_without_a_hash_gets_that_of_its_weights(tmp_path: Path) -> None:
    """Case 42: else other weights would go on with the chunks of these."""
    path = weights_in(tmp_path / "a")
    card = path.with_suffix(".toml")
    card.write_text(
        "\n".join(line for line in card.read_text().splitlines() if not line.startswith("sha256"))
    )
    (found,) = find_cards(str(path))
    assert found.sha256 == find_cards("fast-x2")[0].sha256


def test_a_hash_is_computed_for_a_named_network_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 42."""
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path))
    path = weights_in(tmp_path / "models")
    card = path.with_suffix(".toml").rename(path.with_name("mine-x2.toml"))
    path.rename(card.with_suffix(".safetensors"))
    card.write_text(
        "\n".join(line for line in card.read_text().splitlines() if not line.startswith("sha256"))
    )
    assert find_cards("mine-x2")[0].sha256 == find_cards("fast-x2")[0].sha256


def test_a_journal_knows_its_command_by_either_id(tmp_path: Path) -> None:
    """Case 45."""
    table = plan_of().to_json()
    folder = tmp_path / ".out.vsr-work"
    first = Journal(folder, FORMER)
    first.adopt(FORMER, table)
    first.close()
    again = Journal(folder, plan_of().id)
    assert again.is_over
    assert again.adopt(plan_of().id, table) == ([], [])
    again.remove()
