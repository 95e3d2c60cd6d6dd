"""The average of filters of norm 1 has a smaller norm, so an averaged net needs other norms and statistics."""

import copy
from functools import lru_cache, partial

import pytest
import torch
from helpers.measures import change, outputs, relative_error
from helpers.training import INVARIANT, attached, batch, lengths, see_batch, tiny_net, train
from helpers.vision import FrozenBatchNorm2d
from torch import nn
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from normreg_plugins import WeightRescaling, attach, correct_average_
from normreg_plugins.core.errors import SelectionError

UPDATES, LR, DECAY = 120, 0.5, 0.97


@lru_cache
def averaged_once(use_buffers: bool):
    """A high learning rate, so that the directions averaged over differ."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=LR)
    handle = attach(optimizer, net, WeightRescaling(interval=1))
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=use_buffers)
    for index in range(UPDATES):
        train(net, optimizer, 1, first=index)
        average.update_parameters(net)
    if not use_buffers:  # what hosts do: average the weights, copy the statistics
        for ours, theirs in zip(average.module.buffers(), net.buffers()):
            ours.copy_(theirs)
    handle.detach()
    return net, average, handle.targets


def averaged_training(use_buffers: bool = False):
    """Copies, which tests may change, and the correction."""
    net, average, targets = averaged_once(use_buffers)
    net = copy.deepcopy(net)
    return net, copy.deepcopy(average), partial(correct_average_, model=net, names=targets)


def exact_statistics(average: AveragedModel) -> AveragedModel:
    """The same weights with the right statistics, which are measured on the data."""
    measured = copy.deepcopy(average)
    update_bn([batch(index, size=64)[0] for index in range(20)], measured)
    return measured


def evaluation_error(average: AveragedModel) -> float:
    """How far its evaluation is from the same weights with statistics measured on the data."""
    see = lambda model: model(batch(500, size=64)[0])  # noqa: E731
    expected = outputs(exact_statistics(average), see, train=False)
    return change(expected, outputs(average, see, train=False))


@pytest.mark.parametrize("use_buffers", [False, True])
def test_filters_get_their_length_back_and_this_average_evaluates_better(use_buffers: bool) -> None:
    """Filter norms are restored exactly. The trained model's statistics fit only roughly. They help at this learning
    rate and decay of the average. At higher rates they do harm, and statistics must be measured on batches."""
    net, average, correct = averaged_training(use_buffers)
    uncorrected = evaluation_error(average)
    assert min(float(lengths(average.module, name).min()) for name in INVARIANT) < 0.95
    correct(average.module)
    corrected = evaluation_error(average)
    for name in INVARIANT:
        assert relative_error(lengths(average.module, name), lengths(net, name)) < 1e-6
    print(f"evaluation error {uncorrected:.3f} untouched, {corrected:.3f} corrected")
    assert corrected < uncorrected


def test_the_direction_of_every_averaged_filter_stays() -> None:
    _, average, correct = averaged_training()
    before = copy.deepcopy(average.module)
    correct(average.module)
    for name in INVARIANT:
        old, new = before.get_parameter(name).flatten(1), average.module.get_parameter(name).flatten(1)
        assert torch.allclose(torch.cosine_similarity(old, new), torch.ones(len(old)), atol=1e-6)
    assert torch.equal(before[8].weight, average.module[8].weight)
    assert torch.equal(before[1].weight, average.module[1].weight)


def test_correcting_again_changes_nothing_and_the_average_goes_on() -> None:
    net, average, correct = averaged_training()
    trained = copy.deepcopy(net.state_dict())
    correct(average.module)
    assert all(torch.equal(value, trained[key]) for key, value in net.state_dict().items())
    before = copy.deepcopy(average.module.state_dict())
    correct(average.module)
    assert all(
        relative_error(value.double(), before[key].double()) < 1e-6
        for key, value in average.module.state_dict().items()
    )
    average.update_parameters(net)
    correct(average.module)


def test_an_average_of_equal_models_is_that_model() -> None:
    net, _, handle = attached(WeightRescaling(at_start=True))
    average = AveragedModel(net)
    average.update_parameters(net)
    handle.correct_average(average.module)
    assert change(outputs(net, see_batch, train=False), outputs(average.module, see_batch, train=False)) < 1e-6


def test_the_wrapper_instead_of_its_module_is_refused_by_name() -> None:
    _, average, correct = averaged_training()
    with pytest.raises(SelectionError, match=r"AveragedModel\.module"):
        correct(average)


def test_zero_and_broken_filters_of_an_average_stay() -> None:
    net, average, _ = averaged_training()
    with torch.no_grad():
        average.module[0].weight[2] = 0
        average.module[0].weight[3, 0] = torch.nan
    correct_average_(average.module, net, INVARIANT)
    assert not average.module[0].weight[2].any()
    assert average.module[0].weight[[0, 1, 4, 5]].isfinite().all()


def test_frozen_statistics_come_along() -> None:
    def frozen_net() -> nn.Module:
        net = tiny_net()
        net[1] = FrozenBatchNorm2d(6)
        net[1].running_var.uniform_(0.5, 2)
        return net

    net = frozen_net()
    optimizer = SGD(net.parameters(), lr=LR)
    handle = attach(optimizer, net, WeightRescaling(interval=1), forward=see_batch)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    for index in range(10):
        train(net, optimizer, 1, first=index)
        average.update_parameters(net)
    handle.correct_average(average.module)
    assert torch.equal(average.module[1].running_var, net[1].running_var)


def test_measured_statistics_are_those_of_the_batches_and_a_norm_they_miss_keeps_the_trained_ones() -> None:
    net, average, correct = averaged_training()
    for model in (net, average.module):
        model.add_module("aside", nn.BatchNorm2d(4))
    nn.init.constant_(net.aside.running_mean, 3.0)
    seen = nn.Sequential(*net[:-1])  # the forward does not go through the norm aside
    batches = [batch(index, size=64)[0] for index in range(20)]
    correct(average.module, forwards=[lambda model, x=x: model[: len(seen)](x) for x in batches])
    assert (average.module.aside.running_mean == 3.0).all()
    measured = copy.deepcopy(average.module[: len(seen)])
    update_bn(batches, measured)
    for ours, theirs in zip(average.module[: len(seen)].buffers(), measured.buffers()):
        torch.testing.assert_close(ours, theirs)
