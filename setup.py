"""Put configs and the scripts of tools/ into the wheel, where mim and mmengine look for them: normreg_plugins/.mim."""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
NO_MODELS = ("_base_", "ultralytics")
"""Folders of configs that are not mm models."""
UNWANTED = shutil.ignore_patterns("__pycache__", "ruff.toml")
MODEL_INDEX = "Import:\n  - configs/metafile.yml\n"
COLLECTION = "Collections:\n  - Name: normreg_plugins\n    License: Apache-2.0\n\nModels:\n"
MODEL = "  - Name: {name}\n    In Collection: normreg_plugins\n    Config: {config}\n"
RESULT = "    Results:\n      - Task: {task}\n        Dataset: {data}\n        Metrics:\n          {metric}: {score}\n"
TASKS = {"yolov3": "Object Detection", "deeplabv3": "Semantic Segmentation", "csrnet": "Crowd Counting"}


def results() -> dict[str, str]:
    """What was measured, by the path of the config: the last two tables of configs/README.md."""
    others, _, table = (ROOT / "configs" / "README.md").read_text(encoding="utf-8").rpartition("| `small/` |")
    methods = [name.strip() for name in table.partition("\n")[0].strip(" |").split("|")]
    found = re.findall(r"`(\w+)\.py` \| ([^|]+) \| (\S+) (\S+) \|", others)
    for net, suffix, data, metric, scores in re.findall(r"`(\w+)_\*_(\w+)\.py`, (\S+) (\S+) \| (.*) \|", table):
        found += [(f"{net}_{m}_{suffix}", data, metric, s.strip()) for m, s in zip(methods, scores.split("|"))]
    return {
        f"configs/small/{name}.py": RESULT.format(task=TASKS[name.split("_")[0]], data=data, metric=metric, score=score)
        for name, data, metric, score in found
    }


def metafile(mim: Path) -> str:
    """Every config by name, for mim, with the score that was measured."""
    found = sorted(path.relative_to(mim) for path in (mim / "configs").rglob("*.py"))
    configs = [path for path in found if not set(path.parts) & set(NO_MODELS)]
    names = ("_".join((*config.parts[1:-1], config.stem)) for config in configs)
    measured = results()
    models = (
        MODEL.format(name=name, config=config.as_posix()) + measured.get(config.as_posix(), "")
        for name, config in zip(names, configs)
    )
    return COLLECTION + "".join(models)


class BuildWithMim(build_py):
    """Copies after everything else. An editable install uses the folders themselves."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / "normreg_plugins" / ".mim"
        shutil.rmtree(mim, ignore_errors=True)
        for folder in ("configs", "tools"):
            shutil.copytree(ROOT / folder, mim / folder, ignore=UNWANTED)
        (mim / "model-index.yml").write_text(MODEL_INDEX)
        (mim / "configs" / "metafile.yml").write_text(metafile(mim))


setup(cmdclass={"build_py": BuildWithMim})
