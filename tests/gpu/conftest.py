"""What means something on a GPU. The ordinary run has the same tests on the CPU, with fewer methods.

`make test-gpu` runs them on a GPU (`pytest -m gpu tests/gpu`). Any other run deselects what needs one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

ON_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
ON_BOTH = ["cpu", ON_GPU]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = "gpu" in config.getoption("markexpr")
    if wanted and not torch.cuda.is_available():
        raise pytest.UsageError("torch sees no GPU, so that there is nothing to run with -m gpu")
    if not wanted:
        left_out = [item for item in items if item.get_closest_marker("gpu")]
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(params=ON_BOTH)
def device(request: pytest.FixtureRequest) -> torch.device:
    torch.manual_seed(0)
    return torch.device(request.param)


@pytest.fixture
def without_waiting(device: torch.device):
    """A context in which nothing may make the CPU wait for the GPU. On a CPU it checks nothing."""

    @contextmanager
    def context() -> Iterator[None]:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")

    return context
