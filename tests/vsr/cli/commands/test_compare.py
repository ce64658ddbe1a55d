"""`vsr compare`, tested as a user sees it: figures, a page, findings with an exit code, merged ratings."""

from __future__ import annotations

import base64
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from pipelines.quality.blind_test import BlindTest
from pipelines.quality.comparison import Measured
from pipelines.quality.ratings import FORMAT
from tests import media
from vsr.cli.commands import compare
from vsr.cli.main import main


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    kinds = {"truth": {}, "coarse": {"options": {"crf": "42"}}, "early": {"first_number": 1}}
    return {
        n: media.cfr(folder / f"{n}.mkv", frames=12, rate=Fraction(25), size=(96, 64), **k)
        for n, k in kinds.items()
    }


def vsr(capsys: pytest.CaptureFixture[str], *given: object) -> tuple[int, str, str]:
    code: object = 0
    try:
        main(list(map(str, given)))
    except SystemExit as ended:
        code = ended.code or 0
    assert isinstance(code, int)
    out, err = capsys.readouterr()
    return code, out, err


def test_figures_are_said_and_drawn_on_a_page_that_holds_everything(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "out.html"
    code, out, err = vsr(capsys, "compare", films["truth"], films["coarse"], "--report", page)
    assert code == 0
    assert err.splitlines()[0] == "comparing truth.mkv with coarse.mkv"
    assert out.startswith("coarse.mkv against truth.mkv: 12 frames at 96x64, vmaf_v0.6.1\n")
    assert {line.split()[0] for line in out.splitlines()[1:-1]} >= {
        "VMAF",
        "VMAF-NEG",
        "PSNR",
        "SSIM",
        "XPSNR",
        "Flicker",
    }
    text = page.read_text(encoding="utf-8")
    assert text.count("<before-after>") == len(re.findall(r"<section><h3>", text)) > 0
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)|<link", text)
    assert "default-src 'none'" in text
    assert "12 frames, 0:00:00.480 long" in text


def test_programs_read_no_sentence_before_the_figures(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path]
) -> None:
    code, out, err = vsr(capsys, "compare", films["truth"], films["coarse"], "--json")
    assert code == 0
    assert "comparing" not in err
    assert json.loads(out.splitlines()[-1])["event"] == "compared"


def test_the_value_that_few_frames_pass_is_named_by_the_side_on_which_they_are(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path]
) -> None:
    _, out, _ = vsr(capsys, "compare", films["truth"], films["coarse"])
    sides = {line.split()[0]: re.findall(r"5 % (\w+) ", line) for line in out.splitlines() if "5 %" in line}
    assert sides.pop("Flicker") == ["above"]
    assert set(map(tuple, sides.values())) == {("below",)}


def test_help_names_the_metrics_the_exit_code_and_commands_that_can_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pipelines.quality.comparison import METRICS

    code, out, _ = vsr(capsys, "compare", "--help")
    assert code == 0
    assert {m.label.split(",")[0] for m in METRICS if m.label in out} >= {"VMAF", "PSNR", "SSIM", "XPSNR"}
    assert "exit code is 7" in " ".join(out.split())
    for line in re.findall(r"vsr (compare .*)", out):
        made = compare.compare.make_context("compare", line.split()[1:])
        assert made.params["files"]


def test_how_long_it_takes_is_said_as_soon_as_that_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(compare, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    end = BlindTest("", ("a", "b"), (), (), ())
    compare._show(iter([*(Measured(n, 300) for n in range(20)), end]), as_json=False)
    assert capsys.readouterr().err.splitlines() == ["300 frames to measure, about 11 min 44 s in all"]


def test_a_shifted_copy_ends_with_7_and_an_event_and_still_has_its_page(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "out.html"
    code, out, err = vsr(capsys, "compare", films["truth"], films["early"], "--report", page, "--json")
    assert code == 7
    events = {e["event"]: e for e in map(json.loads, out.splitlines())}
    assert events["misaligned"]["kind"] == "shift"
    assert events["misaligned"]["frames"] == -1
    assert events["compared"]["aligned"] is False
    assert "early.mkv: misaligned: shows everything 1 frame earlier" in err
    assert "do not line up" in page.read_text(encoding="utf-8")


def test_equal_pictures_are_null_in_json(capsys: pytest.CaptureFixture[str], films: dict[str, Path]) -> None:
    code, out, _ = vsr(capsys, "compare", films["truth"], films["truth"], "--json")
    found = json.loads(out.splitlines()[-1])
    metrics = found["results"][0]["metrics"]
    assert code == 0
    assert metrics["psnr"] == {"overall": None, "worst_5_percent": None, "worst": None}
    assert metrics["vmaf"]["overall"] >= 97
    assert found["aligned"] is True


def test_a_blind_test_does_not_say_which_is_which(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "test.html"
    code, out, _ = vsr(
        capsys, "compare", films["truth"], films["coarse"], "--blind", "--shots", "3", "--report", page
    )
    assert code == 0
    assert out.startswith("3 pairs to rate")
    text = page.read_text(encoding="utf-8")
    shown = text[text.index("<article") : text.index('<script type="application/json"')]
    assert shown.count("<img") == 6
    assert "truth" not in shown
    assert "coarse" not in shown
    assert text.count("truth.mkv") == 1  # for the result at the end


def test_a_blind_test_shows_motion_on_request(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "test.html"
    code, _, _ = vsr(
        capsys,
        "compare",
        films["truth"],
        films["coarse"],
        "--blind",
        "--clips",
        "--shots",
        "2",
        "--report",
        page,
    )
    assert code == 0
    text = page.read_text(encoding="utf-8")
    found = re.findall(r'<video [^>]*src="data:video/mp4;base64,([^"]+)"', text)
    assert len(found) == 4
    assert "media-src data:" in text
    for data in found:
        with av.open(io.BytesIO(base64.b64decode(data))) as container:
            frames = [f.to_ndarray(format="gray").astype(int) for f in container.decode(video=0)]
        assert len(frames) == 12
        assert frames[0].shape == (64, 96)
        assert np.abs(frames[0] - frames[6]).max() > 50
    assert vsr(capsys, "compare", films["truth"], films["coarse"], "--clips")[0] == 2


def test_a_blind_test_needs_a_page_and_takes_no_reference(
    capsys: pytest.CaptureFixture[str], films: dict[str, Path]
) -> None:
    for more in ([], ["--report", "x.html", "--reference", films["truth"]]):
        code, _, err = vsr(capsys, "compare", films["truth"], films["coarse"], "--blind", *more)
        assert code == 2
        assert "--blind compares two results by eye" in err
    assert vsr(capsys, "compare", films["truth"])[0] == 2


def test_ratings_are_merged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for rater, pair in (("ada", [5, 3]), ("bob", [4, 4])):
        trials = [{"seconds": 0.0, "ratings": pair}]
        table = {"format": FORMAT, "test": "t", "rater": rater, "names": ["a.mkv", "b.mkv"], "trials": trials}
        (tmp_path / f"{rater}.json").write_text(json.dumps(table))
    code, out, _ = vsr(capsys, "compare", "--scores", *sorted(tmp_path.glob("*.json")))
    assert code == 0
    assert out.splitlines()[:3] == [
        "2 raters, 2 pairs",
        "  a.mkv  4.50 ± 0.98 of 5",
        "  b.mkv  3.50 ± 0.98 of 5",
    ]
    _, out, _ = vsr(capsys, "compare", "--scores", *sorted(tmp_path.glob("*.json")), "--json")
    assert json.loads(out)["preference_rate"] == 0.75
