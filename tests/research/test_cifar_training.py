"""CIFAR-10's layout, on pictures that are made up: packing them, and trainings."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from research import prepare_cifar_jpeg
from research.cifar.nets import NETS
from research.cifar.pictures import parts, read_pictures
from research.cifar.training import built, optimizer_of, schedule_of, train, training_of
from research.nets import centre_alone, filter_norms
from research.prepare_cifar_jpeg import CLASSES


def write_pictures(raw, **counts):
    """JPEGs in the layout of the public repository: each class has a colour of its own."""
    noise = np.random.default_rng(0)
    for split, count in counts.items():
        for label, name in enumerate(CLASSES):
            (raw / split / name).mkdir(parents=True)
            colour = 200 * np.array(colorsys.hsv_to_rgb(label / len(CLASSES), 0.9, 0.9))
            for number in range(count):
                pixels = (colour + noise.integers(0, 50, (32, 32, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(raw / split / name / f"{number:04d}.jpg", quality=90)
    return raw


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """200 pictures to train on and 60 to test on."""
    folder = tmp_path_factory.mktemp("cifar")
    raw = write_pictures(folder / "raw", train=20, test=6)
    assert prepare_cifar_jpeg.main([str(raw), str(folder), "--any-counts"]) == 0
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    filters, others = optimizer_of(run, NETS["cnn8"]()).param_groups
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
    sizes = [sum(p.numel() for p in NETS[name]().parameters()) / 1e6 for name in ("resnet20", "resnet56")]
    assert sizes == [pytest.approx(0.27, abs=0.005), pytest.approx(0.85, abs=0.01)]


def test_centring_alone_keeps_the_means_at_zero_and_the_norms_free():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    centre_alone(optimizer, [weight])
    before = filter_norms([weight]).clone()
    for _ in range(3):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()
    assert weight.detach().flatten(1).mean(1).abs().max() < 1e-5 * weight.detach().abs().max()
    assert not torch.allclose(filter_norms([weight]), before)


def test_every_picture_is_packed_once_with_its_class(data):
    raw, pictures = data / "raw" / "test", read_pictures(data, "test")
    labels = pictures.labels.tolist()
    assert labels != sorted(labels), "they are shuffled"
    packed = {image.permute(1, 2, 0).numpy().tobytes(): label for image, label in zip(pictures.images, labels)}
    files = {np.asarray(Image.open(p)).tobytes(): CLASSES.index(p.parent.name) for p in raw.rglob("*.jpg")}
    assert packed == files
