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
    """What was measured, by the path of the config: the last table of configs/README.md."""
    table = (ROOT / "configs" / "README.md").read_text(encoding="utf-8").split("| `small/` |")[-1]
    methods = [name.strip() for name in table.partition("\n")[0].strip(" |").split("|")]
    return {
        f"configs/small/{net}_{method}_{suffix}.py": RESULT.format(
            task=TASKS[net], data=data, metric=metric, score=score.strip()
        )
        for net, suffix, data, metric, scores in re.findall(r"`(\w+)_\*_(\w+)\.py`, (\S+) (\S+) \| (.*) \|", table)
        for method, score in zip(methods, scores.split("|"))
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
