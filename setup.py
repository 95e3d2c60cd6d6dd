"""Put configs and the scripts of tools/ into the wheel, where mim and mmengine look for them: normreg_plugins/.mim."""

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


def metafile(mim: Path) -> str:
    """Every config by name, for mim. No scores, because none were measured on the full data sets."""
    found = sorted(path.relative_to(mim) for path in (mim / "configs").rglob("*.py"))
    configs = [path for path in found if not set(path.parts) & set(NO_MODELS)]
    names = ("_".join((*config.parts[1:-1], config.stem)) for config in configs)
    models = (MODEL.format(name=name, config=config.as_posix()) for name, config in zip(names, configs))
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
