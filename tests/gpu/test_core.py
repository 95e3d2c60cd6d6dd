"""Methods around an optimizer: the same as on a CPU, and never waiting for the GPU."""

import copy

import pytest
import torch
from helpers.branches import Branches
from helpers.layer_cases import make_layer
from helpers.measures import EXACT, relative_error
from helpers.training import INVARIANT, batch, lengths, loss_on, see_batch, tiny_net, train
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from normreg_plugins import AdaptiveWeightShrink, CorrectedDecay, Hyperball, SphereDescent, WeightRescaling, attach
from normreg_plugins import find_scale_invariant as verdicts_of
from normreg_plugins.core.errors import NonFiniteWeightWarning, NormRegError
from normreg_plugins.layers import NORMALIZATIONS
from normreg_plugins.layers.normalized import normalize_layer_
from normreg_plugins.monitor import Monitor

METHODS = {
    "WRS": WeightRescaling(interval=1),
    "WRS, every other update": WeightRescaling(interval=2, begin=1),
    "WRS, initial norms": WeightRescaling(interval=1, radius="initial"),
    "WRS(IC)": WeightRescaling(interval=1, per="position"),
    "AWS by norm": AdaptiveWeightShrink(alpha=0.2, measure="norm"),
    "AWS by std": AdaptiveWeightShrink(alpha=0.2, measure="std"),
    "PGD": SphereDescent(),
    "Hyperball": Hyperball(),
    "corrected decay": CorrectedDecay(weight_decay=0.5),
}
ON_THE_CPU_TOO = ("WRS", "PGD")
per_method = pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in ON_THE_CPU_TOO else pytest.mark.gpu) for name in METHODS]
)
needs_fused_cpu = pytest.mark.skipif(torch.__version__ < "2.4", reason="fused optimizers on a CPU: torch >= 2.4")


def updated(net: Branches, method: str, device: torch.device) -> Branches:
    """Two updates by SGD with gradients that are the same on every device."""
    net = copy.deepcopy(net).to(device)
    optimizer = SGD(net.parameters(), lr=0.05)
    attach(optimizer, net, METHODS[method], proof=verdicts_of(net))
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter)
        optimizer.step()
    return net.cpu()


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@per_method
def test_every_layer_and_layout_as_in_float64(device, method: str, dtype: torch.dtype) -> None:
    net = Branches(dtype, turn=1)
    exact = updated(copy.deepcopy(net).double(), method, torch.device("cpu"))
    ours = updated(net, method, device)
    for name, value in ours.state_dict().items():
        assert relative_error(value, exact.state_dict()[name]) <= 6 * EXACT[dtype], name


def assert_norms(net: nn.Module, radius: float) -> None:
    for name in INVARIANT:
        found = lengths(net, name)
        torch.testing.assert_close(found, torch.full_like(found, radius), rtol=1e-5, atol=0)


class Loop:
    """Training on batches that lie on the device. `scaler` is torch's gradient scaler."""

    def __init__(self, device: torch.device, dtype: torch.dtype | None = None, **options: bool) -> None:
        self.device, self.dtype = device, dtype
        self.net = tiny_net().to(device, memory_format=torch.channels_last)
        self.optimizer = AdamW(self.net.parameters(), lr=1e-2, **options)
        self.batches = [[t.to(device) for t in batch(index)] for index in range(12)]
        self.scaler = torch.amp.GradScaler(device.type, init_scale=2.0**4) if hasattr(torch.amp, "GradScaler") else None

    def step(self, index: int, overflow: bool = False) -> None:
        images, labels = self.batches[index]
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            loss = nn.functional.cross_entropy(self.net(images), labels)
        self.scaler.scale(loss).backward()
        if overflow:
            self.net[8].weight.grad.mul_(torch.inf)
        self.scaler.step(self.optimizer)
        self.scaler.update()


needs_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")


@needs_scaler
@needs_fused_cpu
@pytest.mark.parametrize("fused", [False, True])
@per_method
def test_an_overflow_is_no_update(device, method: str, fused: bool) -> None:
    """Ten steps, four of them skipped, end where the six others end."""
    amp, plain = Loop(device, fused=fused), Loop(device)
    handle, other = (attach(loop.optimizer, loop.net, METHODS[method]) for loop in (amp, plain))
    for index in range(10):
        before = copy.deepcopy(amp.net.state_dict())
        overflow = index in (1, 4, 5, 7)
        amp.step(index, overflow)
        if overflow:
            assert all(torch.equal(p, before[name]) for name, p in amp.net.named_parameters())
        else:
            plain.step(index)
    assert handle.updates == other.updates == 6
    for name, ours in amp.net.named_parameters():
        if name != "3.bias":  # a norm layer subtracts it: its gradient is rounding, which AdamW blows up
            torch.testing.assert_close(ours, plain.net.get_parameter(name), rtol=1e-3, atol=1e-4)


@needs_scaler
@pytest.mark.parametrize("dtype", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.gpu)], ids=str)
@per_method
def test_mixed_precision_trains(device, method: str, dtype: torch.dtype) -> None:
    loop = Loop(device, dtype)
    handle = attach(loop.optimizer, loop.net, METHODS[method])
    for index in range(10):
        loop.step(index)
    assert handle.updates == 10
    assert all(value.isfinite().all() for value in loop.net.state_dict().values())
    assert all(p.dtype == torch.float32 for p in loop.net.parameters())
    if method in ("WRS", "PGD"):
        assert_norms(loop.net, METHODS[method].filter_norm)


@needs_scaler
@needs_fused_cpu
@per_method
def test_no_step_waits_for_the_gpu(device, without_waiting, method: str) -> None:
    loop = Loop(device, fused=True)
    loop.scaler._enabled = False  # with a scaler, the skip flag of a fused optimizer is read once per step
    attach(loop.optimizer, loop.net, METHODS[method])
    for index in range(4):
        loop.step(index)
    with without_waiting():
        for index in range(4, 10):
            loop.step(index)


@pytest.mark.skipif(not hasattr(torch.compiler, "is_compiling"), reason="torch >= 2.3 compiles a traced model")
@pytest.mark.filterwarnings("ignore:Using `torch.compile:UserWarning")
@per_method
def test_compiled_models_train(device, method: str) -> None:
    torch._dynamo.reset()
    plain, net = (tiny_net().to(device) for _ in range(2))
    for model, backend in ((plain, None), (net, "inductor" if device.type == "cuda" else "eager")):
        optimizer = SGD(model.parameters(), lr=0.1)
        attach(optimizer, model, METHODS[method], forward=see_batch)
        train(torch.compile(model, backend=backend) if backend else model, optimizer, 4)
    for name, value in net.state_dict().items():
        assert relative_error(value, plain.state_dict()[name]) < 1e-3, name


def graphed(net: nn.Module, images: Tensor) -> nn.Module:
    """Forward and backward as CUDA graphs; on a CPU as they are."""
    return torch.cuda.make_graphed_callables(net, (images,)) if images.is_cuda else net


@per_method
def test_graphs_of_forward_and_backward_train(device, method: str) -> None:
    loop = Loop(device)
    handle = attach(loop.optimizer, loop.net, METHODS[method], proof=verdicts_of(loop.net))
    loop.net = graphed(loop.net, loop.batches[0][0])
    for index in range(6):
        images, labels = loop.batches[index]
        loop.optimizer.zero_grad(set_to_none=False)
        nn.functional.cross_entropy(loop.net(images), labels).backward()
        loop.optimizer.step()
    assert handle.updates == 6
    if method in ("WRS", "PGD"):
        assert_norms(loop.net, METHODS[method].filter_norm)


def test_a_step_inside_a_graph_is_refused(device) -> None:
    """A replayed graph calls no hook, so nothing would count its updates."""
    net = tiny_net().to(device)
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, METHODS["WRS"])
    train(net, optimizer, 1)
    if device.type == "cpu":
        optimizer.step()
        return
    with pytest.raises(NormRegError, match="CUDA graph"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        optimizer.step()


def test_a_broken_filter_is_named(device) -> None:
    net = tiny_net().to(device)
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, METHODS["WRS"], forward=see_batch)
    with torch.no_grad():
        net[3].weight[5, 0] = torch.nan

    def steps() -> None:
        for _ in range(3):  # on a GPU the answer of one check is read at the next
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()

    with pytest.warns(NonFiniteWeightWarning, match=r"3\.weight \(1 filters\)"):
        steps()


def test_the_monitor_reports(device, without_waiting) -> None:
    loop, reports = Loop(device), []
    attach(loop.optimizer, loop.net, METHODS["WRS"])
    with Monitor(loop.optimizer, loop.net, every=5, sinks=[reports.append]):
        for index in range(6):
            train(loop.net, loop.optimizer, 1, first=index)
        with without_waiting():
            for parameter in loop.net.parameters():
                parameter.grad = torch.zeros_like(parameter)
            loop.optimizer.step()
    assert [report.update for report in reports] == [5]


@pytest.mark.parametrize("normalization", ["wn", "cwn", "ws"])
def test_normalized_layers(device, without_waiting, normalization: str) -> None:
    layer = make_layer("conv2d")
    with torch.no_grad():
        layer.weight[1] = 0
    normalize_layer_(layer, normalization)
    exact = copy.deepcopy(layer).double().normalized_weight()
    layer = layer.to(device)
    layer.normalized_weight().sum().backward()
    with without_waiting():
        found = layer.normalized_weight()
        found.sum().backward()
    assert normalization in NORMALIZATIONS
    torch.testing.assert_close(found.double().cpu(), exact, rtol=1e-4, atol=1e-5)


def test_one_rank(device, tmp_path) -> None:
    """DDP over NCCL, or gloo on a CPU."""
    import torch.distributed as dist

    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        net = tiny_net().to(device)
        parallel = nn.parallel.DistributedDataParallel(net)
        optimizer = SGD(parallel.parameters(), lr=0.1)
        handle = attach(optimizer, parallel, METHODS["WRS"])
        for index in range(3):
            optimizer.zero_grad()
            loss_on(parallel, index).backward()
            optimizer.step()
        assert handle.updates == 3
        assert_norms(net, 1.0)
    finally:
        dist.destroy_process_group()
