"""The two ways into a config train the same, and do to the weights what the papers' equations say."""

import pytest
import torch
from helpers.mm_toy import ToyImages, ToyNet, config, loader, train, weights
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils._python_dispatch import _disable_current_modes

from normreg_plugins.hosts.mmengine.method_hook import handles_of

pytestmark = pytest.mark.mm
TARGETS = ("conv1.weight", "depthwise.weight", "conv3.weight")
METHODS = {
    "WRS": {"type": "WRS", "interval": 3},
    "WRS(IC)": {"type": "WRS", "interval": 1, "per": "position", "at_start": True},
    "AWS": {"type": "AWS", "alpha": 0.1},
    "PGD": {"type": "PGD", "decay_on": "others"},
}


@HOOKS.register_module()
class SeeFirstForward(Hook):
    """Keeps the weights as the first training forward sees them."""

    def before_train(self, runner):
        runner.model.register_forward_pre_hook(self._look)
        self.seen = None

    def _look(self, model, args):
        if self.seen is None:
            with _disable_current_modes():  # the method watches this forward; our look is no part of it
                self.seen = {name: value.clone() for name, value in model.state_dict().items()}


def same(some, others):
    return some.keys() == others.keys() and all(torch.equal(some[name], others[name]) for name in some)


@pytest.mark.parametrize("name", ["AWS", "PGD"])
def test_constructor_and_hook_train_bit_for_bit_the_same(tmp_path, name):
    changes = {
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 5}],
        "optim_wrapper.clip_grad": {"max_norm": 1.0},
    }
    by_constructor = train(tmp_path / "c", METHODS[name], "constructor", **changes)
    by_hook = train(tmp_path / "h", METHODS[name], "hook", **changes)
    assert same(weights(by_constructor), weights(by_hook))
    assert next(handles_of(by_hook)).targets == TARGETS
    groups = [
        [(len(g["params"]), g["lr"], g["weight_decay"]) for g in r.optim_wrapper.param_groups]
        for r in (by_constructor, by_hook)
    ]
    assert groups[0] == groups[1]


def rescaled_by_hand(model):
    """WRS, Algorithm 1, one filter at a time; the norm behind it follows."""
    norms = {"conv1": model.bn1, "depthwise": model.bn2, "conv3": model.bn3}
    for name, norm in norms.items():
        layer = getattr(model, name)
        for i, filter_ in enumerate(layer.weight):
            a = 1 / filter_.norm()
            bias = 0 if layer.bias is None else layer.bias[i]
            filter_.mul_(a)
            norm.running_mean[i] = a * (norm.running_mean[i] - bias) + bias
            norm.running_var[i] = a**2 * (norm.running_var[i] + norm.eps) - norm.eps


def trained_by_hand(start, interval, accumulate, epochs=2):
    """Plain SGD over the batches of an unshuffled loader, with WRS written out."""
    model = ToyNet()
    model.load_state_dict(start)
    of_norm_layers = [p for n, p in model.named_parameters() if n.startswith("bn")]
    others = [p for n, p in model.named_parameters() if not n.startswith("bn")]
    groups = [{"params": of_norm_layers}, {"params": others, "weight_decay": 0.0}]  # line 7
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01)
    batches = list(torch.utils.data.DataLoader(ToyImages(), batch_size=4)) * epochs
    updates = 0
    for number, batch in enumerate(batches, 1):
        (model(**batch, mode="loss")["loss"] / accumulate).backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
            if updates % interval == 0:
                with torch.no_grad():
                    rescaled_by_hand(model)
    return model.state_dict()


def test_wrs_is_algorithm_1_counted_in_updates(tmp_path):
    changes = {"train_dataloader": loader(), "optim_wrapper.accumulative_counts": 3}
    runner = Runner.from_cfg(config(tmp_path, {"type": "WRS", "interval": 2}, **changes))
    start = weights(runner)
    runner.train()
    (handle,) = handles_of(runner)
    assert handle.updates == 4
    torch.testing.assert_close(weights(runner), trained_by_hand(start, 2, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "way"), [(METHODS["PGD"], "hook"), (METHODS["WRS(IC)"], "constructor")])
def test_loaded_weights_are_put_in_place_before_the_first_forward(tmp_path, way, method):
    torch.manual_seed(1)
    state = ToyNet().state_dict()
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    hooks = [{"type": "SeeFirstForward"}]
    runner = train(tmp_path, method, way, load_from=str(tmp_path / "other.pth"), custom_hooks=hooks)
    seen = next(hook for hook in runner.hooks if isinstance(hook, SeeFirstForward)).seen
    assert torch.equal(seen["head.weight"], state["head.weight"])  # they were loaded
    for name in TARGETS:
        filters = seen[name].flatten(1)
        if method["type"] == "PGD":
            torch.testing.assert_close(filters.square().sum(1), torch.full((8,), 2.0))
            torch.testing.assert_close(filters.mean(1), torch.zeros(8), atol=1e-6, rtol=0)
        elif seen[name].shape[1] > 1:  # WRS(IC) leaves filters with one input channel alone
            torch.testing.assert_close(seen[name].norm(dim=1), torch.ones_like(seen[name].norm(dim=1)))


def test_the_log_and_a_file_tell_what_the_method_will_do(tmp_path):
    train(tmp_path, METHODS["WRS"], log_level="INFO")
    (log,) = tmp_path.glob("*/*.log")
    (table,) = tmp_path.glob("*/verdicts.txt")
    assert "acts on 3 of 4 conv/linear weights: 3 invariant, 1 free; all in verdicts.txt" in log.read_text()
    assert all(name in table.read_text() for name in (*TARGETS, "bn3", "leaves alone:\n  head.weight: "))


def test_a_runner_that_trained_can_test_and_one_that_tests_needs_no_optimizer(tmp_path):
    evaluator = {"test_dataloader": loader(), "test_cfg": {"type": "TestLoop"}, "test_evaluator": {"type": "MeanScore"}}
    runner = train(tmp_path, METHODS["WRS"], "hook", **evaluator)
    after_training = runner.test()["score"]
    checkpoint = str(tmp_path / "epoch_2.pth")
    fresh = Runner.from_cfg(config(tmp_path, METHODS["WRS"], "hook", load_from=checkpoint, **evaluator))
    assert fresh.test()["score"] == after_training
