"""Every test of the core starts from the same random state."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_randomness() -> None:
    torch.manual_seed(0)
