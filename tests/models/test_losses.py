from __future__ import annotations

import pytest
import torch

from models.losses import LOSSES, SAMPLES, charbonnier, l1, mse, ssim_loss, ssim_map
from models.relu import relu_


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
