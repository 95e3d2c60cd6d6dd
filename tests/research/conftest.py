"""CIFAR-10's layout, on pictures that are made up."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from research import prepare_cifar_jpeg
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


@pytest.fixture(scope="session")
def cifar(tmp_path_factory):
    """200 pictures to train on and 60 to test on."""
    folder = tmp_path_factory.mktemp("cifar")
    raw = write_pictures(folder / "raw", train=20, test=6)
    assert prepare_cifar_jpeg.main([str(raw), str(folder), "--any-counts"]) == 0
    return folder


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
