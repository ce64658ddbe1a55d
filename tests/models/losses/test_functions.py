from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from models.layers.activations import relu_
from models.losses.functions import (
    ADVERSARIAL,
    LOSSES,
    SAMPLES,
    charbonnier,
    cosine_distance,
    hinge,
    hinge_generator,
    information_loss,
    kl_divergence,
    l1,
    mse,
    non_saturating,
    non_saturating_generator,
    perceptual,
    sharpened,
    ssim_loss,
    ssim_map,
    statistics_distance,
)


def planes(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 1, 24, 20, generator=torch.Generator().manual_seed(seed))


def test_mse_and_l1_count_differences() -> None:
    x, y = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0.0, 1.0], [2.0, -1.0]]]])
    assert mse(x, y).item() == pytest.approx(1.5)
    assert l1(x, y).item() == pytest.approx(1.0)


def test_charbonnier_is_epsilon_where_nothing_differs_and_l1_far_away() -> None:
    x = planes()
    assert charbonnier(x, x, epsilon=0.01).item() == pytest.approx(0.01)
    assert charbonnier(x, x + 5, epsilon=0.01).item() == pytest.approx(5.0, abs=1e-4)


def test_ssim_of_equal_planes_is_one_and_falls_with_noise() -> None:
    x = planes()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    losses = [ssim_loss(x, x + amount * noise).item() for amount in (0.0, 0.05, 0.2)]
    assert losses[0] == pytest.approx(0.0, abs=1e-6)
    assert losses[0] < losses[1] < losses[2] < 2


def test_ssim_of_one_window_is_the_formula() -> None:
    x, y = planes(1)[:1, :, :11, :11].double(), planes(2)[:1, :, :11, :11].double()
    line = torch.exp(-(torch.arange(11.0, dtype=torch.float64) - 5).square() / (2 * 1.5**2))
    window = torch.outer(line, line) / torch.outer(line, line).sum()
    mx, my = (window * x[0, 0]).sum(), (window * y[0, 0]).sum()
    vx, vy = (window * (x[0, 0] - mx).square()).sum(), (window * (y[0, 0] - my).square()).sum()
    cov = (window * (x[0, 0] - mx) * (y[0, 0] - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim_map(x, y, peak=1.0).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_pulls_towards_the_truth(name: str) -> None:
    truth, guess = planes(3), planes(4).requires_grad_()
    before = LOSSES[name](guess, truth)
    before.backward()
    assert guess.grad is not None
    step = 1e-2 * guess.grad / guess.grad.abs().max()
    assert LOSSES[name](guess.detach() - step, truth) < before


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_losses_by_sample_have_the_same_mean(name: str) -> None:
    x, y = planes(5), planes(6)
    assert SAMPLES[name](x - y).mean().item() == pytest.approx(LOSSES[name](x, y).item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_relu_by_integers_has_the_values_and_gradients_of_relu(dtype: torch.dtype) -> None:
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 0, 0, :3] = torch.tensor([0.0, -0.0, 1e-30], dtype=dtype)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = relu_(ours * 2), torch.relu(theirs * 2)
    assert torch.equal(a, b)
    weight = torch.linspace(-1, 1, a.numel()).reshape(a.shape).to(dtype)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
    with torch.inference_mode():
        assert torch.equal(relu_(x.clone()), torch.relu(x))


def test_cosine_distance_is_of_the_direction_of_all_features_of_a_picture() -> None:
    x = [
        torch.tensor([[3.0, 0.0], [1.0, 0.0]]).reshape(2, 2, 1, 1),
        torch.tensor([4.0, 0.0]).reshape(2, 1, 1, 1),
    ]  # (3,0,4) and (1,0,0)
    y = [
        torch.tensor([[4.0, 0.0], [-2.0, 0.0]]).reshape(2, 2, 1, 1),
        torch.tensor([3.0, 0.0]).reshape(2, 1, 1, 1),
    ]  # (4,0,3) and (-2,0,0)
    assert cosine_distance(x, y).item() == pytest.approx(((1 - 24 / 25) + 2) / 2)
    assert cosine_distance(x, [7 * maps for maps in x]).item() == pytest.approx(0.0, abs=1e-6)
    assert cosine_distance(x, [torch.zeros_like(maps) for maps in x]).item() == pytest.approx(1.0)


def test_cosine_distance_does_not_follow_places_without_features() -> None:
    """Their directions are noise: one such place must not outweigh all the others."""
    x = torch.tensor([[1.0, 1e-4], [1.0, -1e-4]]).reshape(1, 2, 1, 2).requires_grad_()
    cosine_distance([x], [torch.tensor([[3.0, 1e-4], [4.0, 1e-4]]).reshape(1, 2, 1, 2)]).backward()
    assert x.grad is not None
    assert x.grad[..., 1].norm() < x.grad[..., 0].norm()


def test_perceptual_counts_every_map_the_same() -> None:
    zeros = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 1, 1)]
    ones = [torch.full((1, 2, 4, 4), 2.0), torch.full((1, 8, 1, 1), -1.0)]
    assert perceptual(zeros, ones).item() == pytest.approx((2 + 1) / 2)


def test_statistics_distance_asks_for_as_much_variance_as_the_truth_has() -> None:
    truth = planes(12) - 0.5
    found = [statistics_distance([share * truth], [truth]).item() for share in (0.6, 0.9, 1.0, 1 / 0.9)]
    assert found[2] == pytest.approx(0.0, abs=1e-6)
    assert found[0] > found[1] > 1e-4
    assert found[3] == pytest.approx(found[1], rel=0.2)  # too much costs what too little does
    perceptual_says = [perceptual([share * truth], [truth]).item() for share in (0.9, 1 / 0.9)]
    assert perceptual_says[0] < perceptual_says[1]


def test_statistics_distance_is_of_means_and_of_deviations() -> None:
    flat, one = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    assert statistics_distance([flat], [one], constant=1.0).item() == pytest.approx((1 - 1 / 2) / 2)
    a = torch.tensor([1.0, -1.0]).repeat(8).reshape(1, 1, 4, 4)
    assert statistics_distance([a], [-a], constant=1.0).item() == pytest.approx((1 - (-2 + 1) / (2 + 1)) / 2)


def test_information_loss_counts_what_was_lost_and_not_what_was_put_in() -> None:
    """Softer costs; noise costs; more contrast than the truth earns nothing over as much as the truth."""
    truth = planes(13)[:1, :, :, :]
    soft = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
    noisy = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))
    assert information_loss(truth, truth).item() == pytest.approx(0.0, abs=1e-3)
    assert information_loss(soft, truth).item() > 0.3
    assert information_loss(noisy, truth).item() > 0.1
    assert information_loss(0.5 + 1.3 * (truth - 0.5), truth).item() >= -1e-6
    assert information_loss(0.5 + 0.7 * (truth - 0.5), truth).item() > 0.02
    assert information_loss(truth + 0.1, truth).item() == pytest.approx(
        0.0, abs=1e-3
    )  # brightness is for others


@pytest.mark.parametrize("loss", [ssim_loss, information_loss])
def test_losses_of_variances_are_in_fp32_whatever_training_is_in(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    truth = 0.9 + 0.02 * planes(14)
    made = 0.9 + 0.98 * (truth - 0.9)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(made, truth)
    assert found.item() == loss(made, truth).item()


def test_a_sharpened_picture_keeps_its_brightness_and_does_not_overshoot_far() -> None:
    ramp = torch.linspace(0.2, 0.8, 24).reshape(1, 1, 1, 24).expand(1, 1, 24, 24)
    assert torch.allclose(sharpened(ramp, 0.8)[..., 4:-4], ramp[..., 4:-4], atol=1e-6)
    texture = 0.5 + 0.1 * (planes(15) - 0.5)
    made = sharpened(texture, 0.8)
    assert made.var() > 1.5 * texture.var()
    two = sharpened(torch.cat([texture[:1]] * 2), torch.tensor([0.0, 0.8])[:, None, None, None])
    assert torch.equal(two[:1], texture[:1])
    assert torch.equal(two[1:], made[:1])
    assert made.mean().item() == pytest.approx(texture.mean().item(), abs=1e-3)
    edge = torch.cat([torch.zeros(1, 1, 24, 12), torch.ones(1, 1, 24, 12)], 3)
    assert sharpened(edge, 0.8).max().item() == pytest.approx(1.08)


def test_grain_is_not_sharpened() -> None:
    grain = 0.5 + 0.01 * (planes(15) - 0.5)
    assert torch.equal(sharpened(grain, 2.0), grain)


def test_adversarial_losses_by_hand() -> None:
    real, made = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 0.5])

    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    assert non_saturating(real, made).item() == pytest.approx(
        (softplus(-2) + softplus(0)) / 2 + (softplus(-3) + softplus(0.5)) / 2
    )
    assert non_saturating_generator(made).item() == pytest.approx((softplus(3) + softplus(-0.5)) / 2)
    assert hinge(real, made).item() == pytest.approx((0 + 1) / 2 + (0 + 1.5) / 2)
    assert hinge_generator(made).item() == pytest.approx(1.25)


def test_kl_divergence_by_hand_and_by_torch() -> None:
    assert kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3)).item() == 0
    assert kl_divergence(torch.tensor([2.0]), torch.tensor([math.log(4.0)])).item() == pytest.approx(
        (4 + 4 - 1 - math.log(4)) / 2
    )
    mean, log_variance = planes(7) - 0.5, planes(8) - 0.5
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(torch.zeros(()), torch.ones(())),
    )
    assert kl_divergence(mean, log_variance).item() == pytest.approx(theirs.mean().item(), rel=1e-5)


CHECKED = {
    "cosine": lambda x, y: cosine_distance([x, x[..., ::2]], [y, y[..., ::2]]),
    "perceptual": lambda x, y: perceptual([x, x[..., ::2]], [y, y[..., ::2]]),
    "statistics": lambda x, y: statistics_distance([x, x[..., ::2]], [y, y[..., ::2]]),
    "kl": kl_divergence,
    **{f"{name} of the discriminator": losses[0] for name, losses in ADVERSARIAL.items()},
    **{
        f"{name} of the generator": lambda x, y, loss=losses[1]: loss(x) + 0 * y.sum()
        for name, losses in ADVERSARIAL.items()
    },
}


@pytest.mark.parametrize("name", sorted(CHECKED))
def test_gradients_are_those_of_small_differences(name: str) -> None:
    """Along one direction, in fp32, in which the losses count."""
    loss = CHECKED[name]
    x, y = (
        planes(9)[:1, :, :4, :4].repeat(1, 3, 1, 1) * 2 - 1,
        planes(10)[:1, :, :4, :4].repeat(1, 3, 1, 1) * 2 - 1,
    )
    x[:, 1] += 0.37
    y[:, 2] -= 0.21
    x.requires_grad_()
    y.requires_grad_()
    loss(x, y).backward()  # type: ignore[no-untyped-call]
    generator = torch.Generator().manual_seed(11)
    for tensor in (x, y):
        direction, step = torch.randn(tensor.shape, generator=generator), 1e-3
        with torch.no_grad():
            moved = [tensor.detach() + sign * step * direction for sign in (1, -1)]
            pair = [loss(m, y) if tensor is x else loss(x, m) for m in moved]
        assert tensor.grad is not None
        slope = (pair[0].double() - pair[1].double()).item() / (2 * step)
        assert (tensor.grad * direction).sum().item() == pytest.approx(slope, rel=2e-2, abs=2e-3)
