"""Finding and proving leave no trace: state, gradients, modes, hooks and random states are restored."""

import random

import numpy as np
import pytest
import torch
from helpers.nets import Net, bn, conv, images, see_images
from helpers.traces import everything_about
from torch import nn

from normreg_plugins import find_scale_invariant, prove_scale_invariant

per_look = pytest.mark.parametrize("look", [find_scale_invariant, prove_scale_invariant])


@pytest.mark.parametrize(("look", "last_call"), [(find_scale_invariant, 1), (prove_scale_invariant, 4)])
def test_so_is_a_model_whose_forward_fails(look, last_call: int) -> None:
    calls = []

    def fail_later(model: nn.Module) -> torch.Tensor:
        torch.rand(1)
        calls.append(model)
        result = see_images(model)
        if len(calls) == last_call:
            raise RuntimeError("the host's own trouble")
        return result

    net = nn.Sequential(conv(), bn(), conv(6, 6), bn())
    before = everything_about(net)
    with pytest.raises(RuntimeError, match="the host's own trouble"):
        look(net, fail_later)
    assert everything_about(net) == before
    assert find_scale_invariant(net, see_images)[0].kind == "invariant"


@per_look
def test_a_forward_may_draw_random_numbers_anywhere(look) -> None:
    def noisy(model: nn.Module) -> torch.Tensor:
        x = images() + torch.randn(1) + float(np.random.rand()) + random.random()  # noqa: NPY002
        return model(x) * torch.rand(1)

    net = Net(lambda n, x: n.bn(torch.dropout(n.conv(x), 0.3, True)), conv=conv(), bn=bn())
    before = everything_about(net)
    assert look(net, noisy)[0].kind == "invariant"
    assert everything_about(net) == before


class Observer(nn.Module):
    """As in quantization: its buffer grows at the first call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest", torch.zeros(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.largest.resize_(x.shape[1]).copy_(x.detach().amax((0, 2, 3)))
        return x


def test_buffers_that_a_forward_resizes_are_restored() -> None:
    net = nn.Sequential(conv(), bn(), Observer())
    largest = net[2].largest
    assert find_scale_invariant(net, see_images)[0].kind == "invariant"
    assert net[2].largest is largest
    assert largest.shape == (0,)
