"""A prepared crowd data set for the tests of this folder."""

import pytest


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    from helpers.mini_crowd import make_prepared  # it needs mmengine

    return make_prepared(tmp_path_factory.mktemp("crowd"))
