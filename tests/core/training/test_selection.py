"""Which weights a method takes, by default and by name."""

import pytest
import torch
from helpers.nets import bn, conv
from helpers.training import INVARIANT, are_unit, attached, see_batch, tiny_net, train
from helpers.vision import FrozenBatchNorm2d
from torch import nn
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach, prove_scale_invariant
from normreg_plugins.core.errors import NormRegError, SelectionError

EVERY_UPDATE = WeightRescaling(interval=1)
METHODS = [EVERY_UPDATE, AdaptiveWeightShrink(alpha=0.1), SphereDescent()]


class TestChoosing:
    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_by_default_every_invariant_weight_is_taken(self, method) -> None:
        handle = attached(method).handle
        assert handle.targets == INVARIANT
        assert "free" in handle.left_alone["8.weight"]
        assert [v.kind for v in handle.verdicts] == ["invariant", "invariant", "free"]

    def test_compensated_weights_are_taken_too(self) -> None:
        net = tiny_net()
        net[1] = FrozenBatchNorm2d(6)
        handle = attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, forward=see_batch)
        assert [v.kind for v in handle.verdicts] == ["compensated", "invariant", "free"]
        assert handle.targets == INVARIANT

    @pytest.mark.parametrize("select", ["3", "3.weight", ["3"], ("3.*",), "[3]"])
    def test_names_and_patterns_replace_the_choice(self, select) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE, select=select)
        train(net, optimizer, 2)
        assert handle.targets == ("3.weight",)
        assert are_unit(net, "3.weight")
        assert not are_unit(net, "0.weight")

    def test_a_free_weight_is_taken_when_it_is_named(self) -> None:
        net, optimizer, _ = attached(EVERY_UPDATE, select="8")
        train(net, optimizer, 2)
        assert are_unit(net, "8.weight")

    def test_the_output_layer_joins_the_others_when_it_is_named(self) -> None:
        net, optimizer, handle = attached(WeightRescaling(interval=1, output_layers="8"))
        train(net, optimizer, 2)
        assert handle.targets == (*INVARIANT, "8.weight")
        assert all(are_unit(net, name) for name in handle.targets)

    @pytest.mark.parametrize("method", [EVERY_UPDATE, WeightRescaling(output_layers=("head",))])
    def test_a_pattern_that_matches_nothing_is_an_error_that_names_it(self, method) -> None:
        with pytest.raises(SelectionError, match="'head'"):
            attached(method, select="head" if method is EVERY_UPDATE else None)

    def test_one_useless_pattern_among_useful_ones_is_an_error_too(self) -> None:
        with pytest.raises(SelectionError, match=r"'heads\.\*'"):
            attached(EVERY_UPDATE, select=["0", "heads.*"])

    def test_choosing_nothing_is_an_error(self) -> None:
        net = nn.Sequential(conv(), nn.SiLU(), nn.Flatten(), nn.Linear(6, 2))
        with pytest.raises(SelectionError, match="finds no weight to act on among 2"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE)
        with pytest.raises(NormRegError, match=r"select=\(\): must be at least one name"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select=[])

    def test_a_net_without_layers_is_an_error(self) -> None:
        net = nn.Sequential(bn(3))
        with pytest.raises(SelectionError, match="0 conv/linear weights"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE)

    def test_naming_a_weight_of_another_optimizer_is_an_error(self) -> None:
        net = tiny_net()
        with pytest.raises(SelectionError, match=r"0\.weight is not updated"):
            attach(SGD(net[3:].parameters(), lr=0.1), net, EVERY_UPDATE, select="0")

    def test_naming_a_parametrized_weight_is_an_error(self) -> None:
        net = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), bn())
        with pytest.raises(SelectionError, match="parametrized"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select="0.*original1")

    def test_a_weight_frozen_later_is_left_alone_until_it_is_unfrozen(self) -> None:
        net, optimizer, _ = attached(EVERY_UPDATE, forward=see_batch)
        net[0].requires_grad_(False)
        before = net[0].weight.clone()
        train(net, optimizer, 3)
        assert torch.equal(net[0].weight, before)
        net[0].requires_grad_(True)
        train(net, optimizer, 1)
        assert are_unit(net)

    def test_centring_a_filter_of_one_entry_is_refused(self) -> None:
        net = nn.Sequential(nn.Conv2d(3, 3, 1, groups=3), nn.BatchNorm2d(3), conv(), bn())
        handle = attach(SGD(net.parameters(), lr=0.1), net, SphereDescent())
        assert handle.targets == ("2.weight",)
        assert "one entry" in handle.left_alone["0.weight"]
        attach(SGD(net.parameters(), lr=0.1), net, SphereDescent(center=False), select="0")

    @pytest.mark.parametrize("kernel", [1, 3])
    def test_one_norm_per_position_is_refused_for_filters_of_one_input_channel(self, kernel: int) -> None:
        """WRS(IC) would make each entry of a depthwise filter +1 or -1."""
        net = nn.Sequential(nn.Conv2d(3, 3, kernel, groups=3), nn.BatchNorm2d(3), conv(), bn())
        handle = attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(per="position"))
        assert handle.targets == ("2.weight",)
        assert "one input channel" in handle.left_alone["0.weight"]
        with pytest.raises(SelectionError, match="one input channel"):
            attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(per="position"), select="0")
        attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(), select="0")

    def test_numbers_overrule_what_was_seen(self) -> None:
        net = tiny_net()
        proof = prove_scale_invariant(net, lambda model: (see_batch(model), model[3].weight.sum()))
        handle = attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, forward=see_batch, proof=proof)
        assert handle.targets == ("0.weight",)
        assert "overruled" in handle.left_alone["3.weight"]

    def test_a_proof_of_another_model_is_refused(self) -> None:
        with pytest.raises(SelectionError, match=r"says nothing of '0\.weight'"):
            attached(EVERY_UPDATE, proof=prove_scale_invariant(conv(), see_image))


def see_image(model: nn.Module) -> torch.Tensor:
    return model(torch.ones(2, 3, 5, 5))
