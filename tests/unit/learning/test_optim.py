from dataclasses import replace

import pytest
import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.models import MODELS, build_model
from xtinct.learning.optim import (
    KernelMuon,
    RateCourse,
    add_penalty,
    clip_gradients,
    make_optimizers,
    schedule,
)
from xtinct.learning.training_settings import TrainSettings
from xtinct.patterns.instrument import Instrument


@pytest.fixture
def options(settings):
    changes = {"optimizer": "muon", "learning_rate": 0.01, "muon_learning_rate": 0.1, "weight_decay": 0.0}
    return TrainSettings(**settings["train"] | changes)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 4, 3)
        self.inner = nn.Conv1d(4, 6, 5)
        self.dense = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.dense(self.inner(self.first(x)).mean(2)))


def test_the_update_of_a_kernel_is_orthogonal():
    """Muon moves along U V^T of the momentum, so every singular value of the move is about lr."""
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(6, 4, 5))
    before = kernel.detach().clone()
    optimizer = KernelMuon([kernel], lr=0.1, weight_decay=0.0)
    kernel.grad = torch.randn(6, 4, 5) * torch.logspace(-0.5, 0.5, 6)[:, None, None]
    optimizer.step()
    values = torch.linalg.svdvals((kernel.detach() - before).view(6, 20)) / 0.1
    # Five quintic Newton-Schulz steps leave singular values within about 0.5 to 1.3 (Jordan 2024).
    assert values.min() > 0.4
    assert values.max() < 1.4


@pytest.mark.parametrize("shape", [(6, 4, 5), (20, 3)])
def test_in_bfloat16_it_is_the_muon_of_torch_to_the_bit(shape):
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(shape))
    matrix = nn.Parameter(kernel.detach().view(len(kernel), -1).clone())
    ours = KernelMuon([kernel], lr=0.04, weight_decay=0.01)
    ours.precision = torch.bfloat16
    theirs = torch.optim.Muon([matrix], lr=0.04, weight_decay=0.01)
    for _ in range(3):
        kernel.grad = torch.randn(shape)
        matrix.grad = kernel.grad.view_as(matrix).clone()
        ours.step()
        theirs.step()
        assert torch.equal(kernel.view_as(matrix), matrix)


def test_in_float32_it_moves_as_in_bfloat16_but_for_rounding():
    torch.manual_seed(0)
    kernels = [nn.Parameter(torch.ones(6, 4, 5)) for _ in range(2)]
    gradient = torch.randn(6, 4, 5)
    for kernel, precision in zip(kernels, (torch.bfloat16, torch.float32), strict=True):
        optimizer = KernelMuon([kernel], lr=0.1, weight_decay=0.0)
        optimizer.precision = precision
        kernel.grad = gradient.clone()
        optimizer.step()
    moves = [kernel.detach() - 1 for kernel in kernels]
    assert 0 < (moves[0] - moves[1]).norm() < 0.03 * moves[1].norm()


def test_every_parameter_has_exactly_one_optimiser_and_moves(options):
    torch.manual_seed(0)
    net = Net()
    optimizers = make_optimizers(net, options)
    owned = [p.data_ptr() for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(owned) == sorted(p.data_ptr() for p in net.parameters())
    inner = {p.data_ptr() for p in optimizers[0].param_groups[0]["params"]}
    assert inner == {net.inner.weight.data_ptr(), net.dense.weight.data_ptr()}
    before = [p.detach().clone() for p in net.parameters()]
    net(torch.randn(5, 2, 9)).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    assert all((p.detach() != b).any() for p, b in zip(net.parameters(), before, strict=True))


def test_every_step_follows_the_gradient_of_its_own_batch(options):
    """Clearing gradients through the optimisers clears those of every parameter."""
    net = Net()
    optimizers = make_optimizers(net, options)
    x = torch.randn(5, 2, 9)
    for _ in range(2):
        for optimizer in optimizers:
            optimizer.zero_grad()
        net(x).square().sum().backward()
    expected = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-5)


@pytest.mark.parametrize(("limit", "expected"), [(10.0, 10.0), (1e9, 5e6), (0, 5e6)])
def test_a_gradient_that_explodes_is_cut_to_its_limit(limit, expected):
    """3-4-5 triangle; a limit of 0 is none. The direction stays."""
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3e6, 0.0]), torch.tensor([4e6])
    assert clip_gradients(parameters, limit)
    joint = torch.cat([p.grad for p in parameters])
    assert joint.norm() == pytest.approx(expected)
    assert joint / joint.norm() == pytest.approx(torch.tensor([0.6, 0.0, 0.8]))


def test_a_gradient_that_is_not_finite_is_left_and_told():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([torch.inf, 1.0])
    assert not clip_gradients([parameter], 10.0)
    assert parameter.grad.tolist() == [torch.inf, 1.0]


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "extratrees"])  # trees have no layers
def test_muon_leaves_the_first_layer_and_the_classifier_of_every_model_to_adamw(kind, options):
    optics = Instrument(
        wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=8192, lorentz="lorentz", fwhm=0.2
    )
    model = build_model(kind, optics, 5, {})
    muon, _ = make_optimizers(model, options)
    inner = {p.data_ptr() for p in muon.param_groups[0]["params"]}
    weights = [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]
    outer = [name for name, p in weights if p.data_ptr() not in inner]
    assert weights[0][0] in outer
    assert weights[-1][0] in outer
    assert len(weights[-1][1]) == 5
    assert len(outer) == (3 if kind == "resnet" else 2)  # whose head has two linear layers


def test_schedule_rises_to_the_peak_and_falls_to_zero():
    shares = [schedule(step, 100, kind="cosine", warmup=0.2) for step in range(101)]
    assert shares[0] < 0.1
    assert max(shares) == shares[20] == 1.0
    assert shares[100] == pytest.approx(0, abs=1e-12)
    assert shares[60] == pytest.approx(0.5)
    assert shares[:21] == sorted(shares[:21])
    assert shares[20:] == sorted(shares[20:], reverse=True)
    assert schedule(0, 1, kind="cosine", warmup=0.1) > 0


def test_unknown_names_are_refused(options):
    with pytest.raises(XtinctError, match=r"train\.optimizer: 'sgd'"):
        make_optimizers(Net(), replace(options, optimizer="sgd"))
    with pytest.raises(XtinctError, match=r"train\.schedule: 'step'"):
        schedule(0, 1, kind="step", warmup=0.1)


def test_a_penalty_is_the_gradient_of_what_is_added_to_the_loss():
    """torch's autograd differentiates the penalty written out; biases go free."""
    torch.manual_seed(0)
    net = Net()
    x = torch.randn(5, 2, 9)
    weights = [p for p in net.parameters() if p.ndim >= 2]
    loss = net(x).square().sum()
    loss = loss + sum(0.3 * w.abs().sum() + 0.05 * w.square().sum() for w in weights)
    expected = torch.autograd.grad(loss, list(net.parameters()))
    net(x).square().sum().backward()
    add_penalty(net, 0.3, 0.05)
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-5, atol=1e-5)


def test_the_rate_falls_when_the_validation_stays_and_goes_on_where_it_was(options):
    """Patience 1: the second validation in a row that is no better lowers it."""
    follows = replace(options, schedule="plateau", patience=1, factor=0.5)
    accuracies = [0.2, 0.3, 0.3, 0.30005, 0.4, 0.4, 0.1, 0.39, 0.4]
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    course = RateCourse(follows, 100)
    shares = []
    for accuracy in accuracies:
        course.validated(accuracy)
        shares.append(course.share(7))
    assert shares == expected
    history = [{"validation_accuracy": accuracy} for accuracy in accuracies[:5]]
    again = RateCourse(follows, 100, history)
    assert again.share(0) == 0.5
    again.validated(0.4)
    again.validated(0.1)
    assert again.share(0) == 0.25
    for kind in ("constant", "cosine"):
        course = RateCourse(replace(options, schedule=kind), 100)
        assert course.share(3) == schedule(3, 100, kind=kind, warmup=options.warmup)
        course.validated(0.0)
        assert not course.follows_validation


def test_a_rate_that_follows_the_validation_needs_one(options):
    with pytest.raises(XtinctError, match=r"training\.schedule: plateau"):
        replace(options, schedule="plateau", validation_patterns=0)
