"""ultralytics collects garbage in every run, which takes most of a tiny run's time where much is loaded."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _loaded_modules_are_no_garbage():
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
