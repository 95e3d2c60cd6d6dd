"""CIFAR-10's layout, on pictures that are made up: packing them, and trainings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from normreg_plugins.layers import ScaleBias
from normreg_plugins.monitor.files import read_run
from research.cifar.nets import NETS, NORMS
from research.cifar.on_the_way import OnTheWay
from research.cifar.pictures import parts, read_pictures
from research.cifar.training import built, fit, optimizer_of, parts_of, schedule_of, train, training_of
from research.nets import conv_weights
from research.prepare_cifar_jpeg import CLASSES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(cifar):
    return cifar


def settings(data, **more):
    small = {"data": str(data), "net": "cnn8", "pictures": 100, "validated": 40, "tested": 60, "batch": 20}
    return training_of({**small, "rate": 0.05, **more})


def test_a_training_learns_and_is_the_same_again(data):
    run = settings(data, epochs=4, augment=False, method={"type": "WRS", "interval": 1})
    outcome = train(run, seed=0)
    assert outcome.test > 30
    assert outcome.filter_norm == pytest.approx(1, abs=1e-5)
    assert train(run, seed=0) == outcome
    assert train(run, seed=1) != outcome


def test_pictures_to_choose_on_are_those_the_net_has_not_seen(data):
    train_part, test_part = (read_pictures(data, split).images for split in ("train", "test"))
    fresh = parts(data, 100, 40, 60, seed=0, seen=False)
    assert torch.equal(fresh.validated.images, train_part[160:])
    assert torch.equal(fresh.tested.images, test_part)
    pretrained = parts(data, 100, 20, 60, seed=0, seen=True)
    assert torch.equal(pretrained.validated.images, test_part[:20])
    assert torch.equal(pretrained.tested.images, test_part[20:])
    learned = {image.numpy().tobytes() for image in fresh.learned.images}
    assert len(learned) == 100
    assert not learned & {image.numpy().tobytes() for image in fresh.validated.images}
    with pytest.raises(ValueError, match="pictures=161: there are 160"):
        parts(data, 161, 40, 60, seed=0, seen=False)


@pytest.mark.parametrize(("phase", "acts"), [((0.0, 0.0), False), ((0.5, 1.0), True)])
def test_a_method_acts_in_its_phase(phase, acts, data):
    run = settings(data, epochs=1, phase=phase, method={"type": "WRS", "interval": 1})
    assert (train(run, 0).filter_norm == pytest.approx(1, abs=1e-5)) == acts


def test_the_decay_of_the_filters_has_its_phase(data):
    """At a rate of 0 a gradient changes nothing, so a strong decay is seen alone: SGD's is rate x decay."""
    norms = {
        phase: train(settings(data, epochs=1, rate=1e-6, weight_decay=1e5, phase=phase), 0).filter_norm
        for phase in ((0.0, 0.0), (0.0, 1.0))
    }
    assert norms[0.0, 1.0] < 0.9 * norms[0.0, 0.0]


def test_the_filters_may_have_their_own_decay_and_the_rate_follows_the_batch():
    run = training_of({"weight_decay": 0.1, "filter_decay": 0.2, "rate": 0.1, "rate_is_for_batch": 128, "batch": 32})
    filters, others = optimizer_of(run, NETS["cnn8"](8, norm=nn.BatchNorm2d)).param_groups
    assert (filters["weight_decay"], others["weight_decay"]) == (0.2, 0.1)
    assert filters["lr"] == pytest.approx(0.1 * 32 / 128)


def test_aws_shrinks_larger_first_filters_faster_than_weight_decay():
    settings = {"data": "digits", "net": "cnn3", "pictures": 64, "validated": 20, "tested": 20, "batch": 32}
    settings |= {"epochs": 50, "rate": 0.1, "schedule": "constant", "augment": False}
    settings |= {"convert": "ws", "initial_scale": 100}
    decay = train(training_of({**settings, "filter_decay": 1e-3}), 0)
    aws = train(training_of({**settings, "method": {"type": "AWS", "alpha": 0.1}}), 0)
    assert aws.filter_norm < 0.3 * decay.filter_norm


def test_the_rate_drops():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule, seen = schedule_of("drops", optimizer, updates=9), []
    for _ in range(9):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen[0::3] == pytest.approx([1, 0.1, 0.01])


def test_pgd_trains_without_norm_layers(data):
    run = settings(data, epochs=1, rate=0.001, convert="pgd", sigma=0.1, method={"type": "PGD"})
    outcome = train(run, 0)
    assert outcome.filter_norm == pytest.approx(2**0.5, abs=1e-4)
    model = built(run, parts(data, 100, 40, 60, 0, False).learned)
    names = [type(module).__name__ for module in model.modules()]
    assert (names.count("BatchNorm2d"), names.count("ScaleBias")) == (0, 6)


def test_a_training_that_diverges_has_no_score(data):
    outcome = train(settings(data, epochs=1, rate=1e30), 0)
    assert (outcome.validation, outcome.test, outcome.loss) == (None, None, None)
    assert outcome.failed_at <= 5


def test_the_resnets_are_those_of_he_et_al():
    """Parameters as in the table of the paper's section 4.2: 0.27 and 0.85 million."""
    nets = [NETS[name](width=8, norm=nn.BatchNorm2d) for name in ("resnet20", "resnet56")]
    sizes = [sum(p.numel() for p in net.parameters()) / 1e6 for net in nets]
    assert sizes == [pytest.approx(0.27, abs=0.005), pytest.approx(0.85, abs=0.01)]


def test_every_picture_is_packed_once_with_its_class(data):
    raw, pictures = data / "raw" / "test", read_pictures(data, "test")
    labels = pictures.labels.tolist()
    assert labels != sorted(labels), "they are shuffled"
    packed = {image.permute(1, 2, 0).numpy().tobytes(): label for image, label in zip(pictures.images, labels)}
    files = {np.asarray(Image.open(p)).tobytes(): CLASSES.index(p.parent.name) for p in raw.rglob("*.jpg")}
    assert packed == files


def test_bwn_computes_with_the_matrix_norm_of_the_initialization():
    run = training_of({"data": "digits", "net": "cnn3", "convert": "bwn", "norm": "mean_only", "batch": 32})
    run = replace(run, pictures=64, validated=20, tested=20, epochs=2, augment=False)
    torch.manual_seed(0)
    learned = parts_of(run, 0).learned
    model = built(run, learned)
    before = [weight.detach().norm() for weight in conv_weights(model)]
    fit(run, model, optimizer_of(run, model), parts_of(run, 0), (0, 10), OnTheWay(None, None, model, 10, 0, 0))
    after = [m.normalized_weight().norm().item() for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert after == [pytest.approx(norm.item(), rel=1e-5) for norm in before]
    assert [weight.detach().norm() for weight in conv_weights(model)] != before


@pytest.mark.parametrize("norm", ["group", "none"])
@pytest.mark.parametrize("net", ["cnn9", "resnet20"])
def test_every_net_has_the_norm_layers_of_its_setting(net, norm):
    model = NETS[net](width=8, norm=NORMS[norm])
    kinds = {type(m) for m in model.modules()} & {nn.BatchNorm2d, nn.GroupNorm}
    assert kinds == ({nn.GroupNorm} if norm == "group" else set())
    assert len(conv_weights(model)) == {"cnn9": 9, "resnet20": 19}[net]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_noise_grows_with_depth_and_norm_layers_may_have_no_decay(data):
    run = settings(data, convert="pgd", noise="linear", sigma=0.6)
    model = built(run, parts(data, 100, 40, 60, 0, False).learned)
    found = [m.sigma for m in model.modules() if isinstance(m, ScaleBias)]
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # eq. 8 with L = 6
    net = NETS["cnn8"](8, norm=nn.BatchNorm2d)
    *_, last = optimizer_of(settings(data, norm_decay=False), net).param_groups
    assert (len(last["params"]), last["weight_decay"]) == (2 * 6, 0.0)


def test_a_training_writes_norms_accuracy_and_checkpoints_on_its_way(data, tmp_path):
    run = settings(data, epochs=2, looks=5, checkpoints=2)
    train(run, 0, tmp_path)
    log = read_run(tmp_path / "norms.jsonl")
    assert log.curves["accuracy"][0] == log.layer_steps == [2, 4, 6, 8, 10]
    assert len(log.layer_names) == 6
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["update_10.pth", "update_5.pth"]
    saved = torch.load(tmp_path / "update_10.pth", weights_only=True)["state_dict"]
    assert saved["0.weight"].shape == (8, 3, 3, 3)
    assert train(run, 0) == train(replace(run, looks=0, checkpoints=0), 0)
