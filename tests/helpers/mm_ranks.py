"""What two processes do in the tests of several GPUs; in a module that a fresh process can import."""

import torch
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS
from torch.distributed.fsdp import FullyShardedDataParallel

from helpers.mm_toy import ToyNet, train, weights
from helpers.processes import run


def in_two_processes(work, folder):
    """Call work(rank, folder) in each of two gloo ranks."""
    run([work], folder)
    assert not [file.read_text() for file in folder.glob("*.error")]


def train_with_ddp(rank, folder):
    runner = train(
        folder,
        {"type": "WRS", "interval": 3},
        launcher="pytorch",
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
        custom_hooks=[{"type": "NormRegEMAHook", "momentum": 0.05}],
        **{"train_cfg.max_epochs": 17},  # 51 updates: 24 images, four on each of two ranks
    )
    model = runner.model.module
    torch.save({"weights": dict(model.named_parameters()), "all": weights(runner)}, folder / f"rank{rank}.pt")


def refuse_fsdp1(rank, folder):
    model = FullyShardedDataParallel(ToyNet(), device_id=torch.device("cpu"), use_orig_params=True)
    settings = {
        "constructor": "NormRegOptimWrapperConstructor",
        "regularizer": {"type": "WRS"},
        "optimizer": {"type": "SGD", "lr": 0.1},
    }
    try:
        build_optim_wrapper(model, settings)
    except ValueError as error:
        (folder / f"rank{rank}.txt").write_text(str(error))


@HOOKS.register_module()
class NoiseRecorder(Hook):
    """Keeps the noise that the last scale-bias layer drew in each update."""

    def __init__(self):
        self.drawn = []

    def before_train(self, runner):
        runner.model.module.bn3.register_forward_hook(self.record)

    @torch.no_grad()
    def record(self, layer, inputs, output):
        gamma, beta = layer.weight.view(1, -1, 1, 1), layer.bias.view(1, -1, 1, 1)
        self.drawn.append(((output - beta) / (gamma * inputs[0])).flatten(2).nanmedian(2).values - 1)


def train_with_noise(rank, folder):
    """PGD with noise for two epochs, then resumed for one more."""
    drawn = []
    for epochs, resume in ((2, False), (3, True)):
        runner = train(
            folder,
            {"type": "PGD"},
            launcher="pytorch",
            model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
            custom_hooks=[{"type": "NormRegLinearNoiseHook", "sigma": 0.4}, {"type": "NoiseRecorder"}],
            resume=resume,
            **{"model.norm": "NormRegScaleBias", "train_cfg.max_epochs": epochs, "optim_wrapper.optimizer.lr": 0.01},
        )
        drawn += next(hook.drawn for hook in runner.hooks if isinstance(hook, NoiseRecorder))
    found = {"noise": torch.stack(drawn), "weights": weights(runner), "updates": runner.iter}
    torch.save(found, folder / f"noise{rank}.pt")
