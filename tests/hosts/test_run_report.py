"""The versions that the hosts are tested with stand in one place, and a run in another version says so once."""

import re
import warnings
from pathlib import Path

import pytest
import tomllib

from normreg_plugins.core.errors import UntestedVersionWarning
from normreg_plugins.hosts import run_report
from normreg_plugins.hosts.run_report import TESTED

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
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [line for extra in ("mm", "mm-classic", "ultralytics") for line in extras[extra]]
    pinned = [line for file in sorted((ROOT / "requirements").glob("*.txt")) for line in file.read_text().splitlines()]
    lowest, newest = min(versions(host, asked, ">=")), max(versions(host, pinned, "=="))
    assert [".".join(map(str, each[:2])) + "." for each in (lowest, newest)] == [TESTED[host][0], TESTED[host][-1]]


@pytest.mark.mm
def test_another_version_is_warned_of_once_with_the_range(tmp_path, monkeypatch) -> None:
    import mmengine
    from helpers.mm_toy import train

    monkeypatch.setattr(mmengine, "__version__", "9.1.0")
    monkeypatch.setattr(run_report, "_warned", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            train(tmp_path, {"type": "WRS", "interval": 4}, **{"train_cfg.max_epochs": 1})
    ours = [str(each.message) for each in caught if each.category is UntestedVersionWarning]
    assert len(ours) == 1
    assert ours[0].startswith("mmengine 9.1.0: normreg_plugins is tested with 0.10.*. Compare the first epochs")


@pytest.mark.ultralytics
def test_ultralytics_too(monkeypatch) -> None:
    import ultralytics
    from ultralytics.models.yolo.detect import DetectionTrainer

    from normreg_plugins import WeightRescaling
    from normreg_plugins.hosts.ultralytics import with_method

    monkeypatch.setattr(ultralytics, "__version__", "8.3.7")
    monkeypatch.setattr(run_report, "_warned", set())
    with pytest.warns(UntestedVersionWarning, match=r"ultralytics 8\.3\.7: .* 8\.4\.\*"):
        with_method(DetectionTrainer, WeightRescaling())
