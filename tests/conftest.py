"""What every run shares: which hosts must be there, how many threads, and a quiet ultralytics."""

import os
from importlib.util import find_spec

import pytest
import torch

HOSTS = {
    "mm": ("mmengine", "mmcv", "mmdet", "mmseg"),
    "mmpretrain": ("mmengine", "mmcv", "mmpretrain"),
    "ultralytics": ("ultralytics",),
    "trainers": ("lightning", "transformers", "accelerate"),
}

ONE_STACK = (
    "core/verdicts/test_zoo.py",
    "hosts/mmengine/test_zoo.py",
    "cli/data/",
    "research/",
    "cli/test_official_layouts",
)
"""Long tests of nets and commands that are the same on both stacks."""

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
REQUIRED_HOSTS = [host for host in os.environ.get("NORMREG_REQUIRE_HOSTS", "").split(",") if host]


def pytest_configure(config: pytest.Config) -> None:
    if unknown := set(REQUIRED_HOSTS) - set(HOSTS):
        raise pytest.UsageError(f"NORMREG_REQUIRE_HOSTS names unknown hosts: {sorted(unknown)}")
    if find_spec("hypothesis"):  # tests/gpu does without
        import hypothesis

        hypothesis.settings.register_profile("normreg", deadline=None, max_examples=50, derandomize="CI" in os.environ)
        hypothesis.settings.load_profile("normreg")
    if WORKER:
        torch.set_num_threads(1)
    settings = config.rootpath / ".pytest_cache" / f"ultralytics-{WORKER or 'main'}"
    settings.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `.ci/run` need not run twice. It comes first, because `-m` picks from what is marked."""
    for item in items:
        if item.path.relative_to(config.rootpath / "tests").as_posix().startswith(ONE_STACK):
            item.add_marker(pytest.mark.one_stack)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose host is missing. `_fail_if_required` then fails it if the host is required."""
    for host, modules in HOSTS.items():
        if item.get_closest_marker(host):
            for module in modules:
                if find_spec(module) is None:
                    pytest.skip(f"could not import {module!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _fail_if_required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _fail_if_required((yield))


def _fail_if_required(report):
    """A test that was skipped because a required host is missing fails, also if `importorskip` skipped it."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[-1]
        for host in REQUIRED_HOSTS:
            if any(f"could not import {module!r}" in reason for module in HOSTS[host]):
                report.outcome = "failed"
                report.longrepr = f"{reason}, and NORMREG_REQUIRE_HOSTS demands {host}"
    return report
