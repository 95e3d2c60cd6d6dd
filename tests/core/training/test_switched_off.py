"""A method leaves no trace before it is attached, after it is detached, and while it is switched off."""

import copy

import pytest
from helpers.training import same_state, tiny_net, train
from torch import nn
from torch.optim import SGD, Adam

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach

EVERY_UPDATE = WeightRescaling(interval=1)
METHODS = [EVERY_UPDATE, AdaptiveWeightShrink(alpha=0.1), SphereDescent()]


class TestOff:
    """Switched off is bit for bit plain training."""

    @staticmethod
    def plain(optimizer_of, updates: int = 6) -> nn.Module:
        net = tiny_net()
        train(net, optimizer_of(net.parameters()), updates)
        return net

    @staticmethod
    def decaying_sgd(parameters):
        return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-2)

    @pytest.mark.parametrize(
        "method",
        [
            WeightRescaling(interval=7, decay_on="all"),
            WeightRescaling(interval=1, begin=6, decay_on="all"),
            WeightRescaling(interval=5, begin=5, end=9, decay_on="all"),
            AdaptiveWeightShrink(alpha=0.0, decay_on="all"),
            AdaptiveWeightShrink(alpha=0.5, begin=6, decay_on="all"),
        ],
        ids=repr,
    )
    def test_attached_but_not_its_time(self, method) -> None:
        net = tiny_net()
        optimizer = self.decaying_sgd(net.parameters())
        handle = attach(optimizer, net, method)
        train(net, optimizer, 6)
        assert handle.updates == 6
        assert same_state(net, self.plain(self.decaying_sgd))

    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_detached_in_the_middle_it_goes_on_as_plain_training_would(self, method) -> None:
        net = tiny_net()
        optimizer = Adam(net.parameters(), lr=1e-2)
        handle = attach(optimizer, net, method)
        train(net, optimizer, 3)
        handle.detach()
        twin = tiny_net()
        twin.load_state_dict(net.state_dict())
        plain = Adam(twin.parameters(), lr=1e-2)
        plain.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(net, optimizer, 3, first=3)
        train(twin, plain, 3, first=3)
        assert same_state(net, twin)

    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_detaching_leaves_a_plain_optimizer_and_a_plain_model(self, method) -> None:
        net = tiny_net()
        optimizer = self.decaying_sgd(net.parameters())
        twin = tiny_net()
        plain = self.decaying_sgd(twin.parameters())
        keys = list(net.state_dict())
        handle = attach(optimizer, net, method)
        assert list(net.state_dict()) == keys
        for one, other in ((net, optimizer), (twin, plain)):
            train(one, other, 2)
        handle.detach()
        handle.detach()  # a second time does no harm
        assert not net._forward_hooks
        assert not net._forward_pre_hooks
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert not optimizer._optimizer_state_dict_pre_hooks
        assert not optimizer._optimizer_load_state_dict_post_hooks
        assert optimizer.defaults == plain.defaults
        assert optimizer.state_dict().keys() == plain.state_dict().keys()
        assert optimizer.state_dict()["param_groups"] == plain.state_dict()["param_groups"]
        assert optimizer.state_dict()["state"].keys() == plain.state_dict()["state"].keys()

    def test_a_block_detaches_at_its_end_even_when_it_fails(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        with pytest.raises(KeyError), attach(optimizer, net, EVERY_UPDATE):
            raise KeyError
        assert not optimizer._optimizer_step_post_hooks
