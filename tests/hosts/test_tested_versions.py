"""The versions that the hosts are tested with stand in one place, and a run in another version says so once."""

import re
import warnings
from pathlib import Path

import pytest
import tomllib
from normreg_plugins.hosts.tested_versions import TESTED, is_within

from normreg_plugins.core.errors import UntestedVersionWarning
from normreg_plugins.hosts import tested_versions

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "mmengine": ("onedl-mmengine", "mmengine"),
    "mmcv": ("onedl-mmcv", "mmcv"),
    "mmdet": ("onedl-mmdetection", "mmdet"),
    "mmseg": ("onedl-mmsegmentation", "mmsegmentation"),
    "ultralytics": ("ultralytics",),
}


def versions(host: str, lines: list[str], sign: str) -> list[list[int]]:
    found = []
    for name in DISTRIBUTIONS[host]:
        pattern = re.compile(rf"{re.escape(name)}{sign}([0-9.]+[0-9])")
        found += [match[1] for line in lines if (match := pattern.match(line))]
    assert found, host
    return [list(map(int, each.split("."))) for each in found]


@pytest.mark.parametrize("host", TESTED)
def test_the_ranges_are_those_of_pyproject_and_of_the_environments(host: str) -> None:
    first, last = TESTED[host]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [line for extra in ("mm", "mm-classic", "ultralytics") for line in extras[extra]]
    assert ".".join(map(str, min(versions(host, asked, ">=")))) == first
    pinned = [line for file in sorted((ROOT / "requirements").glob("*.txt")) for line in file.read_text().splitlines()]
    newest = max(versions(host, pinned, "=="))
    assert ".".join(map(str, newest[:2])) == last
    assert all(is_within(".".join(map(str, each)), first, last) for each in versions(host, pinned, "=="))


@pytest.mark.parametrize(
    ("version", "inside"),
    [
        ("2.1", True),
        ("2.1.0", True),
        ("2.3.99", True),
        ("2.4.0", False),
        ("2.0.9", False),
        ("2.3.0rc1", True),
        ("dev", False),
    ],
)
def test_what_is_within(version: str, inside: bool) -> None:
    assert is_within(version, "2.1", "2.3") == inside


@pytest.mark.mm
def test_another_version_is_warned_of_once_with_the_range(tmp_path, monkeypatch) -> None:
    import mmengine
    from helpers.mm_toy import train

    monkeypatch.setattr(mmengine, "__version__", "9.1.0")
    monkeypatch.setattr(tested_versions, "_warned", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            train(tmp_path, {"type": "WRS", "interval": 4}, **{"train_cfg.max_epochs": 1})
    ours = [str(each.message) for each in caught if each.category is UntestedVersionWarning]
    assert len(ours) == 1
    assert ours[0].startswith("mmengine 9.1.0 is outside the tested range of normreg_plugins: 0.10.7 to 0.10.*")


@pytest.mark.ultralytics
def test_ultralytics_too(monkeypatch) -> None:
    import ultralytics
    from ultralytics.models.yolo.detect import DetectionTrainer

    from normreg_plugins import WeightRescaling
    from normreg_plugins.hosts.ultralytics import with_method

    monkeypatch.setattr(ultralytics, "__version__", "8.3.7")
    monkeypatch.setattr(tested_versions, "_warned", set())
    with pytest.warns(UntestedVersionWarning, match=r"ultralytics 8\.3\.7 .* 8\.4 to 8\.4\.\*"):
        with_method(DetectionTrainer, WeightRescaling())
