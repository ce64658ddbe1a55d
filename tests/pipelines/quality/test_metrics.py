from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from models.catalog.lookup import find_cards
from models.errors import MediaError, UsageError
from models.losses.deep_distance import DeepDistance
from models.losses.functions import ssim_map
from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.settings import DatasetSettings
from pipelines.frames.sample_values import SampleValues
from pipelines.quality import metrics
from pipelines.quality.evaluation import EvaluationRow, Judged, _by_scale, evaluate, evaluation_items
from pipelines.quality.judgement import EvaluateSettings
from pipelines.quality.score_tables import as_grid, as_table, gain_over
from tests.helpers.footage import clip, film, pictures
from tests.models.losses.test_deep_distance import random_weights
from tests.models.losses.test_perceptual import ALEXNET, backbone, heads, saved


def test_psnr_of_a_constant_error_is_the_formula() -> None:
    truth = torch.full((1, 16, 16), 100.0)
    assert metrics.psnr(truth + 5, truth) == pytest.approx(20 * math.log10(255 / 5))
    assert metrics.psnr(truth, truth) == math.inf


def test_ssim_is_that_of_the_networks_loss() -> None:
    """torchmetrics here, our own there: two implementations of one formula."""
    draw = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 40, 52, generator=draw) * 219 + 16
    result = truth + torch.randn(truth.shape, generator=draw) * 12
    own = ssim_map(result.double()[:, None], truth.double()[:, None], peak=255.0).mean().item()
    assert metrics.ssim(result, truth) == pytest.approx(own, abs=1e-6)
    assert metrics.ssim(truth, truth) == pytest.approx(1)


def test_trim_leaves_the_border_out() -> None:
    plane = torch.zeros(1, 8, 8)
    plane[:, 0] = 99
    assert metrics.psnr(metrics.crop_border(plane, 1), torch.zeros(1, 6, 6)) == math.inf
    assert metrics.crop_border(plane, 0).shape == plane.shape


def test_flicker_sees_what_moves_though_it_should_not() -> None:
    truth = torch.full((4, 8, 8), 100.0)
    wobbling = truth + torch.tensor([0.0, 3.0, 0.0, 3.0])[:, None, None]
    assert metrics.flicker(truth + 7, truth) == 0  # off by the same amount in every frame: wrong, but calm
    assert metrics.flicker(wobbling, truth) == pytest.approx(3.0)
    with pytest.raises(UsageError, match="1 frame"):
        metrics.flicker(truth[:1], truth[:1])


def test_niqe_is_zero_only_for_the_statistics_it_was_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    luma = torch.from_numpy(rng.normal(120, 20, (192, 288)))
    np.savez(tmp_path / "model.npz", mu_pris_param=np.zeros((1, 36)), cov_pris_param=np.eye(36))
    model = metrics.NiqeModel.read(tmp_path / "model.npz")
    far = metrics.niqe(luma, model)
    assert 0 < far < 100
    assert metrics.niqe(luma, model) == far
    with pytest.raises(UsageError, match="96 pixels"):
        metrics.niqe(luma[:50], model)
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="niqe_pris_params"):
        metrics.NiqeModel.read(tmp_path / "no.npz")


def test_ffmpeg_says_a_clip_equals_itself_and_not_its_blur() -> None:
    truth = clip(6, 192, 256)
    blurred = SampleValues((truth.luma // 8 * 8 + np.roll(truth.luma, 2, 2) // 8) // 2, truth.chroma, 8)
    same, worse = metrics.vmaf_and_xpsnr(truth, truth), metrics.vmaf_and_xpsnr(blurred, truth)
    assert set(same) == {"vmaf", "vmaf_neg", "xpsnr"}
    assert same["xpsnr"] == math.inf
    assert worse["vmaf"] < same["vmaf"]
    assert worse["vmaf_neg"] < same["vmaf_neg"]
    assert worse["xpsnr"] < 40


@pytest.mark.parametrize("scale", [2, 3])
def test_pictures_are_judged_with_lanczos_above_bicubic(tmp_path: Path, scale: int) -> None:
    folder = pictures(tmp_path / "set", 2, 131, 169)
    rows = [
        e
        for e in evaluate(["bicubic"], [folder], EvaluateSettings(scale=scale))
        if isinstance(e, EvaluationRow)
    ]
    found = {r.model: r for r in rows}
    assert found["bicubic"].count == 2
    assert found["lanczos"].scores["psnr"] > found["bicubic"].scores["psnr"] > 10
    assert gain_over("bicubic", found["lanczos"], rows) == pytest.approx(
        found["lanczos"].scores["psnr"] - found["bicubic"].scores["psnr"]
    )


def test_published_bicubic_figures_are_reproduced(shared_data: Path) -> None:
    """Set5 and Set14, PSNR-Y of antialiased bicubic as measured by many.

    33.67/28.43 and 30.33/26.09 at x2/x4.
    """
    for scale, expected in ((2, {"Set5": 33.67, "Set14": 30.33}), (4, {"Set5": 28.43, "Set14": 26.09})):
        sets = [shared_data / "eval" / name for name in expected]
        rows = [
            e
            for e in evaluate(["bicubic"], sets, EvaluateSettings(scale=scale, metrics=("psnr",)))
            if isinstance(e, EvaluationRow)
        ]
        for row in rows:
            if row.model == "bicubic":
                assert row.scores["psnr"] == pytest.approx(expected[row.set], abs=0.05)


def test_coded_videos_score_below_clean_ones(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", (4,))
    settings = EvaluateSettings(
        scale=2,
        cases=("clean", "h264-35"),
        metrics=("psnr", "ssim", "flicker"),
        strips=str(tmp_path / "strips"),
    )
    rows = {
        (r.model, r.case): r.scores
        for r in evaluate(["fast-x2"], [source], settings)
        if isinstance(r, EvaluationRow)
    }
    for model in ("bicubic", "lanczos", "fast-x2"):
        assert rows[model, "h264-35"]["psnr"] < rows[model, "clean"]["psnr"]
        assert rows[model, "clean"]["flicker"] > 0
    assert len(list((tmp_path / "strips").glob("*.png"))) == 2


@pytest.mark.parametrize(("models", "options", "said"), [
    (["lanczos"], {}, "give --scale"),
    (["fast-x2"], {"scale": 4}, "no network of scale 4"),
    (["nonsense"], {"scale": 2}, "no such network"),
])  # fmt: skip
def test_requests_that_mean_nothing_are_refused(
    tmp_path: Path, models: list[str], options: dict[str, int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        list(evaluate(models, [tmp_path], EvaluateSettings(**options)))


def test_a_data_set_is_judged_as_it_was_made_and_as_nothing_else(tmp_path: Path) -> None:
    settings = DatasetSettings(truth_px=32, shrink=1, crops=CropSettings(per_frame=4, duplicate_bits=1))
    list(make_dataset([pictures(tmp_path / "stills", 3)], tmp_path / "pairs", settings))
    judged = [
        e
        for e in evaluate(
            ["bicubic"], [tmp_path / "pairs"], EvaluateSettings(scale=2, limit=1, metrics=("psnr",))
        )
        if isinstance(e, Judged)
    ]
    assert {j.case for j in judged} == {"as-made"}
    for cases in (("h264-40",), ("clean", "h264-40")):
        with pytest.raises(UsageError, match="without --case"):
            list(evaluate(["bicubic"], [tmp_path / "pairs"], EvaluateSettings(scale=2, cases=cases)))


@pytest.mark.parametrize("case", ["blur-2", "noise-10"])
def test_a_degraded_picture_and_a_film_of_it_agree(tmp_path: Path, case: str) -> None:
    stills = pictures(tmp_path, 1, 64, 96)
    with av.open(stills / "picture0.png") as source, av.open(tmp_path / "film.mkv", "w") as target:
        stream = target.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        target.mux(
            [*stream.encode(next(source.decode(video=0)).reformat(format="bgr0")), *stream.encode(None)]
        )
    film, picture = evaluation_items(tmp_path, 2, case, EvaluateSettings())
    for ours, theirs in zip(picture.low_planes, film.low_planes, strict=True):
        assert torch.equal(ours, theirs)


def test_a_network_of_one_s_own_stands_next_to_the_one_it_has_its_name_from(tmp_path: Path) -> None:
    (card,) = [c for c in find_cards("fast") if c.scale == 2]
    for suffix in (".safetensors", ".toml"):
        shutil.copyfile(Path(card.path).with_suffix(suffix), tmp_path / f"fast-x2{suffix}")
    own = str(tmp_path / "fast-x2.safetensors")
    for models in ([own, "fast-x2"], ["fast-x2", own]):
        assert {label: c.path for label, c in _by_scale(models, 2)[2].items()} == {
            own: own,
            "fast-x2": card.path,
        }
    assert list(_by_scale([own], 2)[2]) == ["fast-x2"]
    assert list(_by_scale(["fast", "fast-x2"], 2)[2]) == ["fast-x2"], "named twice"


def test_settings_refuse_unknown_metrics_and_cases() -> None:
    with pytest.raises(UsageError, match="expected one of"):
        EvaluateSettings(metrics=("beauty",))
    with pytest.raises(UsageError, match="h264-23"):
        EvaluateSettings(cases=("h264",))
    with pytest.raises(UsageError, match="niqe_pris_params"):
        EvaluateSettings(metrics=("niqe",))
    for name in ("lpips", "dists"):
        with pytest.raises(UsageError, match=f"--{name}-weights"):
            EvaluateSettings(metrics=(name,))


def test_tables_come_in_three_styles() -> None:
    rows = [
        EvaluationRow("bicubic", 2, "Set5", "clean", 5, {"psnr": 33.67, "ssim": 0.93}),
        EvaluationRow("fast-x2", 2, "Set5", "clean", 5, {"psnr": 36.9, "ssim": 0.955}),
    ]
    markdown = as_table(rows, "markdown").splitlines()
    assert markdown[0] == "| set | case | scale | model | psnr | over bicubic | ssim |"
    assert markdown[3] == "| Set5 | clean | x2 | fast-x2 | 36.90 | +3.23 | 0.9550 |"
    assert "+3.23" in as_table(rows, "terminal")
    assert '"gain_over_bicubic_db": 3.2' in as_table(rows, "json")


def test_a_grid_has_data_sets_by_degradations() -> None:
    rows = [
        EvaluationRow(model, 2, name, case, 5, {"psnr": level + gain, "vmaf_neg": level})
        for name, level in (("Set5", 30.0), ("film", 40.0))
        for case in ("clean", "h264-23")
        for model, gain in (("bicubic", 0.0), ("fast-x2", 1.5))
    ]
    lines = as_grid(rows, "markdown").splitlines()
    assert lines[0] == "| set | scale | model | psnr clean | psnr h264-23 |"
    assert lines[1] == "| --- | --- | --- | ---: | ---: |"
    assert "| film | x2 | fast-x2 | 41.50 +1.50 | 41.50 +1.50 |" in lines
    assert len(lines) == 6
    assert as_grid(rows[:-1], "terminal", "vmaf_neg").splitlines()[-1].split() == [
        "film",
        "x2",
        "fast-x2",
        "40.0",
    ]


def test_json_holds_no_infinities() -> None:
    rows = [
        EvaluationRow("bicubic", 2, "a", "clean", 1, {"psnr": 30.0}),
        EvaluationRow("fast-x2", 2, "a", "clean", 1, {"psnr": math.inf, "ssim": 1.0}),
    ]
    found = json.loads(as_table(rows, "json"), parse_constant=pytest.fail)
    assert found[1]["scores"] == {"psnr": None, "ssim": 1.0}
    assert found[1]["gain_over_bicubic_db"] is None


def test_deep_distances_stand_next_to_the_others(tmp_path: Path) -> None:
    weights = [
        saved(tmp_path, "alexnet.pth", backbone(ALEXNET)),
        saved(tmp_path, "heads.pth", heads("alexnet")),
    ]
    settings = EvaluateSettings(scale=2, metrics=("psnr", "lpips"), lpips_weights=tuple(weights))
    stills = pictures(tmp_path / "stills", 1, 131, 169)
    rows = {
        r.model: r.scores for r in evaluate(["bicubic"], [stills], settings) if isinstance(r, EvaluationRow)
    }
    assert 0 < rows["lanczos"]["lpips"] < rows["bicubic"]["lpips"]


def test_films_without_options_are_judged_at_a_few_qualities_and_pictures_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeepDistance, "is_installed", staticmethod(lambda: True))
    monkeypatch.setattr(DeepDistance, "read", classmethod(lambda cls: cls(random_weights())))
    film(tmp_path / "film.mp4", (3,), width=256, height=256)
    pictures(tmp_path, 1, 64, 96)
    rows = {
        (r.model, r.case): r
        for r in evaluate(["bicubic"], [tmp_path], EvaluateSettings(scale=2))
        if isinstance(r, EvaluationRow)
    }
    coded = [rows["lanczos", case] for case in ("h264-18", "h264-24", "h264-30")]
    psnr = [row.scores["psnr"] for row in coded]
    assert psnr == sorted(psnr, reverse=True)
    assert coded[0].scores["vmaf_neg"] > coded[-1].scores["vmaf_neg"]
    assert all(
        set(row.scores) == {"psnr", "vmaf_neg", "flicker", "deep_distance"} and row.count == 1
        for row in coded
    )
    assert rows["lanczos", "clean"].count == 2
    assert rows["lanczos", "clean"].counts == {
        "psnr": 2,
        "ssim": 1,
        "vmaf_neg": 1,
        "flicker": 1,
        "deep_distance": 1,
    }


def test_without_its_weights_the_deep_feature_distance_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeepDistance, "is_installed", staticmethod(lambda: False))
    source = film(tmp_path / "film.mp4", (2,))
    rows = [
        r
        for r in evaluate(["bicubic"], [source], EvaluateSettings(scale=2, cases=("clean",)))
        if isinstance(r, EvaluationRow)
    ]
    assert set(rows[0].scores) == {"psnr", "vmaf_neg", "flicker"}


def test_color_video_vdp_sees_whole_clips_where_its_package_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def predict(
        ours: torch.Tensor, theirs: torch.Tensor, *, dim_order: str, frames_per_second: float
    ) -> tuple[float, None]:
        asked.append((tuple(ours.shape), dim_order, frames_per_second))
        return 10 - float((ours - theirs).abs().mean()), None

    package = SimpleNamespace(cvvdp=lambda **_: SimpleNamespace(predict=predict))
    monkeypatch.setitem(sys.modules, "pycvvdp", package)
    settings = EvaluateSettings(scale=2, cases=("clean",), metrics=("cvvdp",))
    rows = [
        r
        for r in evaluate(["bicubic"], [film(tmp_path / "film.mp4", (2,))], settings)
        if isinstance(r, EvaluationRow)
    ]
    assert asked[0] == ((2, 3, 128, 192), "FCHW", 24)
    assert 9 < rows[0].scores["cvvdp"] < 10
    monkeypatch.setitem(sys.modules, "pycvvdp", None)
    with pytest.raises(UsageError, match=r"vsr-upscale\[cvvdp\]"):
        list(evaluate(["bicubic"], [tmp_path / "film.mp4"], settings))


def test_vmaf_takes_pictures_of_odd_sides(tmp_path: Path) -> None:
    stills = pictures(tmp_path / "stills", 1, 195, 229)
    rows = [
        r
        for r in evaluate(["bicubic"], [stills], EvaluateSettings(scale=3, metrics=("vmaf",)))
        if isinstance(r, EvaluationRow)
    ]
    assert 0 <= rows[0].scores["vmaf_neg"] <= 100


def test_gradient_energy_is_a_share_of_the_truth_s() -> None:
    truth = torch.tensor([[[0.0, 2.0], [4.0, 6.0]]])  # differences 2, 2 across and 4, 4 down
    assert metrics.gradient_energy(truth, truth) == 1
    assert metrics.gradient_energy(truth / 2, truth) == pytest.approx(0.25)
    assert metrics.gradient_energy(torch.tensor([[[0.0, 2.0], [0.0, 2.0]]]), truth) == pytest.approx(4 / 20)
    assert metrics.gradient_energy(truth, torch.zeros(1, 2, 2)) == math.inf


def test_noisy_pictures_are_judged_at_their_own_size(tmp_path: Path) -> None:
    """A case of noise at scale 1: what bicubic, which changes nothing there, scores is the noise itself."""
    rows = list(
        evaluation_items(
            pictures(tmp_path / "stills", 1, 128, 128),
            1,
            "noise-10",
            EvaluateSettings(scale=1, cases=("noise-10",)),
        )
    )
    low, truth = rows[0].low_planes, rows[0].truth_planes
    assert low[0].shape == truth[0].shape
    assert ((low[0] - truth[0]) * 219).std().item() == pytest.approx(10, abs=0.6)
