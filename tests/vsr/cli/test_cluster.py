"""`vsr run --cluster local`: the bytes of a run without Ray, on the loopback interface only.

Nothing is left over. Case 79.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import started, vsr
from tests.helpers.ray_processes import MARK, NOTHING, children_of, left_of_ray, left_over, listening

pytestmark = pytest.mark.cluster

OPTIONS = (
    "--scale 2 --model fast --codec h264 --preset ultrafast --chunk-seconds 0.5 --device cpu --json".split()
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "film.mp4", frames=72)


@pytest.fixture(scope="module")
def alone(film: Path) -> bytes:
    """The result without a cluster."""
    output = film.with_name("alone.mp4")
    assert vsr("run", film, "-o", output, *OPTIONS).code == 0
    return output.read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_bytes_of_a_run_without_ray_and_leaves_nothing(
    film: Path, alone: bytes, tmp_path: Path, workers: int
) -> None:
    before = left_of_ray()
    output = tmp_path / "out.mp4"
    outcome = vsr("run", film, "-o", output, *OPTIONS, "--cluster", f"local:{workers}", **MARK)
    assert outcome.code == 0, outcome.err
    assert output.read_bytes() == alone
    assert len([e for e in outcome.events if e["event"] == "chunk"]) == 9
    assert left_over(before) == NOTHING
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "out.mp4.vsr.json"]


def test_a_private_cluster_listens_on_the_loopback_interface_only(film: Path, tmp_path: Path) -> None:
    """Case 79."""
    run = started("run", film, "-o", tmp_path / "out.mp4", *OPTIONS, "--cluster", "local")
    assert run.stdout is not None
    try:
        for line in run.stdout:
            if '"chunk"' in line:
                break
        family = {run.pid, *children_of(run.pid)}
        addresses = listening(family)
        assert any(":" in a for a in addresses), "no process of Ray was found"
        assert [
            a for a in addresses if not re.match(r"(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]|\[::1\]):", a)
        ] == []
    finally:
        run.communicate(timeout=60)


def test_a_killed_driver_leaves_nothing_but_its_journal_and_the_next_one_goes_on(
    film: Path, alone: bytes, tmp_path: Path
) -> None:
    """Case 38."""
    before = left_of_ray()
    output = tmp_path / "out.mp4"
    run = started("run", film, "-o", output, *OPTIONS, "--cluster", "local:1", **MARK)
    assert run.stdout is not None
    for line in run.stdout:
        if '"chunk"' in line:
            break
    run.kill()
    run.communicate(timeout=60)
    assert left_over(before, 90) == NOTHING  # agents of Ray notice late that their node is gone
    outcome = vsr("run", film, "-o", output, *OPTIONS, "--cluster", "local:1", **MARK)
    assert outcome.code == 0, outcome.err
    assert outcome.event("plan")["chunks_done"] >= 1
    assert output.read_bytes() == alone
    assert left_over(before) == NOTHING


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("local:x", "local:N"),
        ("local:0", "local:N"),
        ("ray://head:10001", "--cluster auto"),
        ("127.0.0.1:1", "ray start --head"),
    ],
)
def test_an_address_that_can_t_be_joined_is_refused_in_one_line(
    film: Path, tmp_path: Path, address: str, words: str
) -> None:
    vsr("run", film, "-o", tmp_path / "out.mp4", *OPTIONS, "--cluster", address).refused(
        2, "--cluster", words
    )


def test_several_videos_overlap_on_one_cluster_and_one_bad_file_stops_none(
    film: Path, tmp_path: Path
) -> None:
    """Case 61."""
    folder, alone, together = (tmp_path / name for name in ("in", "alone", "together"))
    for place in (folder, alone, together):
        place.mkdir()
    for name, frames in (("a", 40), ("c", 24), ("d", 32)):
        media.cfr(folder / f"{name}.mp4", frames=frames)
    (folder / "b.mp4").write_bytes(b"broken")
    first = vsr("run", folder, "-o", alone, *OPTIONS)
    second = vsr("run", folder, "-o", together, *OPTIONS, "--cluster", "local:2")
    assert first.code == second.code == 8, second.err
    names = sorted(p.name for p in alone.glob("*.mp4"))
    assert len(names) == 3
    for name in names:
        assert (together / name).read_bytes() == (alone / name).read_bytes()
    told = [(e["event"], Path(e["input"]).stem) for e in second.events if "input" in e]
    assert told.index(("plan", "c")) < told.index(("done", "a")), (
        "the second video waited for the end of the first"
    )
