"""`--precision auto`: int8 if CPU, source and network are suitable, decided with the plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.model_files.quantization import add_integers
from pipelines.planner import precision_choice
from pipelines.planner.video_planner import plan_video
from pipelines.settings.run_settings import RunSettings, TargetSettings
from tests import media
from tests.helpers.integers import card_with_integers, network

VNNI = "processor\t: 0\nflags\t\t: fpu sse2 avx512_vnni amx_int8\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "in.mp4", frames=2)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The precision that is chosen on a CPU of which the system says `cpu`."""
    card = card_with_integers(tmp_path)

    def choose(
        source: Path,
        cpu: str = VNNI,
        cost_db: float = 0.05,
        ramps_db: float = 0.0,
        notes: list[str] | None = None,
        **settings: object,
    ) -> str:
        from models.catalog.loader import load_network
        from models.catalog.lookup import find_cards

        add_integers(
            Path(card.path),
            load_network(find_cards(card.path)[0]).int8,
            {"cost_db": cost_db, "ramps_db": ramps_db},
        )
        (tmp_path / "cpuinfo").write_text(cpu)
        monkeypatch.setattr(precision_choice, "_CPUS", tmp_path / "cpuinfo")
        given = {"target": TargetSettings(scale=2), "model": card.path, "device": "cpu", **settings}
        planned = plan_video(source, tmp_path / "out.mkv", RunSettings(**given))  # type: ignore[arg-type]
        (notes if notes is not None else []).extend(planned.info.notes)
        return planned.plan.precision

    return choose


def test_integers_are_taken_where_they_cost_next_to_nothing(chosen, film: Path) -> None:
    assert chosen(film) == "int8"
    assert chosen(film, cluster="local:2") == "int8"
    assert chosen(film, cost_db=0.051) == ""
    assert chosen(film, precision="fp32") == "fp32"


def test_a_network_before_a_classical_scaler_is_computed_on_integers(chosen, film: Path) -> None:
    chain = {"model": "fast-x2,lanczos", "target": TargetSettings(scale=3)}
    notes: list[str] = []
    assert chosen(film, notes=notes, **chain) == "int8"
    assert any(note.startswith("computed on 8-bit integers") for note in notes)
    assert chosen(film, "", **chain) == ""
    assert chosen(film, precision="int8", **chain) == "int8"


def test_a_cpu_without_8_bit_products_computes_as_before(chosen, film: Path) -> None:
    assert chosen(film, VNNI.replace("avx512_vnni amx_int8", "avx512f")) == ""
    assert chosen(film, "") == ""


def test_nodes_elsewhere_compute_as_they_can(chosen, film: Path) -> None:
    assert chosen(film, cluster="10.0.0.1:6379", device="auto") == ""
    assert chosen(film, cluster="10.0.0.1:6379", device="cpu") == "int8"


def test_onednn_kept_from_8_bit_products_is_heeded(
    chosen, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert chosen(film) == ""


def test_a_gpu_computes_where_there_is_one(chosen, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_choice, "computing_device", lambda _: "cuda")
    assert chosen(film) != "int8"


@pytest.mark.parametrize(("precision", "kind", "remedy"), [
    ("fp16", "cpu", "this machine's CPU, which does not support it; leave it out"),
    ("int8", "cuda", "this machine's GPU, which does not support it; leave it out, or give --device cpu"),
])  # fmt: skip
def test_a_precision_that_the_device_found_here_lacks_is_refused_by_the_plan(
    chosen, film: Path, monkeypatch: pytest.MonkeyPatch, precision: str, kind: str, remedy: str
) -> None:
    monkeypatch.setattr(precision_choice, "computing_device", lambda _: kind)
    with pytest.raises(UsageError, match=re.escape(remedy)):
        chosen(film, precision=precision, device="auto")
    with pytest.raises(UsageError, match=re.escape(remedy)):
        chosen(film, precision=precision, device="auto", cluster="local:2")
    assert chosen(film, precision=precision, device="auto", cluster="10.0.0.1:6379") == precision


def test_ten_bits_are_computed_on_integers_that_are_near_enough_on_ramps(chosen, tmp_path: Path) -> None:
    ten = media.cfr(tmp_path / "ten.mkv", frames=2, codec="ffv1", pix_fmt="yuv420p10le")
    assert [chosen(ten, ramps_db=decibels) for decibels in (0.0, 57.9, 58.0)] == ["", "", "int8"]
    twelve = media.cfr(tmp_path / "twelve.mkv", frames=2, codec="ffv1", pix_fmt="yuv420p12le")
    assert chosen(twelve, ramps_db=99.0) == ""


def test_the_plan_says_what_integers_cost_or_how_to_have_them(chosen, film: Path, tmp_path: Path) -> None:
    def said(source: Path, **options: object) -> str:
        notes: list[str] = []
        chosen(source, notes=notes, **options)
        return "; ".join(note for note in notes if note.startswith("computed"))

    assert said(film, cost_db=0.04).startswith(
        "computed on 8-bit integers: faster, at a loss of 0.040 dB of PSNR (too small to see);"
    )
    twice = said(film, cost_db=0.04, target=TargetSettings(scale=4))
    assert twice.startswith("computed on 8-bit integers: faster, at a loss of up to 0.080 dB of PSNR")
    floats = "computed in floats; "
    assert said(film, cost_db=0.06) == f"{floats}--precision int8 is faster, and would cost 0.060 dB of PSNR"
    assert said(film, precision="fp32") == said(film, cpu="") == said(film, model="lanczos") == ""
    facts = NetworkFacts("compact", {"width": 32, "depth": 2}, 2)
    plain = export(network().state_dict(), facts, folder=tmp_path, name="plain-x2")
    assert said(film, model=str(plain)) == (
        f"{floats}`vsr quantize {plain} --data PICTURES` prepares it for --precision int8, which is faster"
    )


def test_a_plan_without_a_way_to_integers_is_silent_on_them_unless_requested(
    chosen, film: Path, tmp_path: Path
) -> None:
    ten = media.cfr(tmp_path / "ten.mkv", frames=2, codec="ffv1", pix_fmt="yuv420p10le")
    for source, options in ((ten, {}), (film, {"strength": 0.5})):
        notes: list[str] = []
        chosen(source, notes=notes, **options)
        assert not [note for note in notes if "integers" in note or "int8" in note]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("lanczos", "it is for networks, and lanczos is a classical scaler"),
    ],
)
def test_the_reason_against_integers_is_the_true_one(chosen, film: Path, model: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--precision int8: {reason}; leave it out")):
        chosen(film, model=model, precision="int8", target=TargetSettings(scale=4))


def test_a_scaler_behind_a_network_is_no_reason_against_integers(chosen, tmp_path: Path) -> None:
    full = media.cfr(tmp_path / "full.mkv", frames=2, codec="ffv1", pix_fmt="yuv444p")
    with pytest.raises(UsageError, match="--precision int8: it is for left-sited 4:2:0"):
        chosen(full, model="fast-x2,lanczos", precision="int8", target=TargetSettings(scale=3))
