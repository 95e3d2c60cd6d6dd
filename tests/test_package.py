"""The package as a user gets it: built, installed away from the sources, without any host."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IMPORT_WITHOUT_HOSTS = """
import sys

class Blocker:
    blocked = {"mmengine", "mmcv", "mmdet", "mmseg", "ultralytics", "scipy", "matplotlib"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.blocked:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import normreg_plugins.core
print(normreg_plugins.__file__)
print(normreg_plugins.core.__file__)
"""


def python(*arguments: str | Path, **options) -> str:
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the built wheel is installed."""
    folder = tmp_path_factory.mktemp("package")
    sources = folder / "sources"
    shutil.copytree(
        ROOT / "normreg_plugins",
        sources / "normreg_plugins",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for file in (ROOT / "pyproject.toml", ROOT / "LICENSE", *ROOT.glob("*.md")):
        shutil.copy(file, sources)
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, sources)
    (wheel,) = folder.glob("*.whl")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder / "site", wheel)
    return folder / "site"


def test_wheel_imports_away_from_sources_without_hosts(site: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(site)!r}){IMPORT_WITHOUT_HOSTS}"
    *_, package, core = python("-c", code, cwd=site.parent).splitlines()
    assert Path(package) == site / "normreg_plugins" / "__init__.py"
    assert Path(core) == site / "normreg_plugins" / "core" / "__init__.py"


def test_wheel_holds_the_package_and_nothing_else(site: Path) -> None:
    top = {path.name for path in site.iterdir() if path.suffix != ".dist-info"}
    assert top == {"normreg_plugins"}
    sources = {path.relative_to(ROOT) for path in (ROOT / "normreg_plugins").rglob("*.py")}
    assert sources == {path.relative_to(site) for path in site.rglob("*.py")}
    assert (site / "normreg_plugins" / "py.typed").read_text()


def test_torch_is_the_only_hard_dependency(site: Path) -> None:
    (metadata,) = site.glob("*.dist-info/METADATA")
    required = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(), re.MULTILINE)
    assert [line for line in required if "extra ==" not in line] == ["torch>=2.1"]


def test_changelog_begins_with_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version
    assert newest
    assert version[1] == newest[1]


REGISTERED = """
import importlib.util
import normreg_plugins
{asked}
from mmengine.registry import HOOKS, VISUALIZERS
print("NormRegHook" in HOOKS.module_dict, "CrowdVisualizer" in VISUALIZERS.module_dict)
"""


@pytest.mark.mm
@pytest.mark.parametrize("asked", ["", "importlib.util.find_spec('mmengine')"])
def test_importing_the_package_before_mmengine_registers_with_it(asked: str) -> None:
    """Also if `find_spec` was asked for mmengine before, as many packages do."""
    pytest.importorskip("mmengine")
    assert python("-c", REGISTERED.format(asked=asked)).split() == ["True", "True"]


REGISTRIES = """
import mmengine.registry as registries
from mmengine.registry import Registry

mm = [each for each in vars(registries).values() if isinstance(each, Registry)]

def registered():
    return {(each.name, name): value for each in mm for name, value in each.module_dict.items()}

import mmdet.registry, mmseg.registry
before = registered()
import normreg_plugins
after = registered()
changed = [key for key in before if after.get(key) is not before[key]]
print(len(after) > len(before), changed)
"""


@pytest.mark.mm
def test_importing_the_package_adds_names_to_the_registries_and_changes_none() -> None:
    pytest.importorskip("mmdet")
    assert python("-c", REGISTRIES).strip() == "True []"
