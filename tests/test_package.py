"""The package as a user gets it: built, installed away from the sources, without any host."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from normreg_plugins.cli.data.make_mini_data import make_mini_set

ROOT = Path(__file__).parents[1]


def python(*arguments: str | Path, **options) -> str:
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel is installed: that of `make release`, or one built from what git tracks."""
    folder = tmp_path_factory.mktemp("package")
    released = os.environ.get("NORMREG_DIST")
    if not released:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
        )
        for name in listed.stdout.splitlines():
            if not name.startswith("tests/") and (ROOT / name).is_file():
                (folder / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / "sources" / name)
        python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, folder / "sources")
    (wheel,) = Path(released or folder).glob("*.whl")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder / "site", wheel)
    return folder / "site"


def test_wheel_holds_the_package_with_configs_and_tools_and_nothing_else(site: Path) -> None:
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"normreg_plugins", "bin"}
    package, mim = site / "normreg_plugins", site / "normreg_plugins" / ".mim"
    assert {path.name for path in mim.iterdir()} == {"configs", "tools", "model-index.yml"}
    for ours, theirs in (
        (ROOT / "normreg_plugins", package),
        (ROOT / "configs", mim / "configs"),
        (ROOT / "tools", mim / "tools"),
    ):
        sources = {path.relative_to(ours) for path in ours.rglob("*.py")}
        found = {
            path.relative_to(theirs)
            for path in theirs.rglob("*.py")
            if ours.name != "normreg_plugins" or mim not in path.parents
        }
        assert sources == found
    assert (package / "py.typed").read_text()
    index = (mim / "configs" / "metafile.yml").read_text()
    folders = {path.parent.name for path in (mim / "configs").rglob("*.py")}
    assert "small/yolov3_wrs_bccd.py\n    Results:\n      - Task: Object Detection\n        Dataset: BCCD\n" in index
    assert "small/csrnet_vgg16bn_wd_shanghaitech.py\n    Results:\n      - Task: Crowd Counting\n" in index
    page = (ROOT / "configs/README.md").read_text()
    assert index.count("Results:") == 18 + len(
        re.findall(r"^\| `\w+\.py` \| [^|]+ \| \S+ [\d.]+ \|$", page, re.MULTILINE)
    )
    named = set(re.findall(r"Config: configs/(?:(\w+)/)?", index))
    assert named - {""} == {name for name in folders if name in ("mini", "small", "classification", "finetune")}


PLAIN_LOOP = """
import torch
from normreg_plugins import WeightRescaling, attach
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.Flatten())
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
handle = attach(optimizer, net, WeightRescaling(interval=2))
for _ in range(4):
    net(torch.randn(2, 3, 5, 5)).pow(2).mean().backward()
    optimizer.step()
print(handle.updates, net[0].weight.flatten(1).norm(dim=1).sub(1).abs().max().item() < 1e-6)
print(attach.__globals__["__file__"].replace("core/training/attach.py", "__init__.py"))
"""


@pytest.fixture(scope="module")
def only_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to torch and what torch asks for, to stand in for an environment with nothing else."""
    folder = tmp_path_factory.mktemp("only_torch")
    wanted, seen = ["torch", "setuptools"], set()  # torch 2.1 imports it without asking for it
    while wanted:
        name = wanted.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform
        seen.add(name)
        needed = (line for line in found.requires or () if "extra ==" not in line)
        wanted += {re.split(r"[ <>=!~;\[(]", line)[0] for line in needed} - seen
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            place = Path(str(found.locate_file(top)))
            if place.exists() and not (folder / top).exists():
                (folder / top).symlink_to(place)
    return folder


def test_wheel_trains_where_there_is_only_torch(site: Path, only_torch: Path) -> None:
    paths = clean_environment(PYTHONPATH=f"{site}{os.pathsep}{only_torch}")
    code = f"import importlib.util as u\nassert u.find_spec('numpy') is u.find_spec('rich') is None\n{PLAIN_LOOP}"
    printed = python("-S", "-c", code, cwd=site.parent, env=paths).splitlines()
    assert printed == ["4 True", str(site / "normreg_plugins" / "__init__.py")]


def clean_environment(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more


def test_the_command_of_the_wheel(site: Path) -> None:
    installed = clean_environment(PYTHONPATH=str(site))
    command = [sys.executable, str(site / "bin" / "normreg")]
    listed = python(command[1], cwd=site.parent, env=installed)
    assert all(f"  {name} " in listed for name in ("train", "inspect", "eval-map", "eval-miou", "make-mini-data"))
    assert "usage: normreg eval-mae" in python(command[1], "eval-mae", "--help", cwd=site.parent, env=installed)


def test_a_command_says_which_package_it_lacks_and_which_extra_installs_it(site: Path, only_torch: Path) -> None:
    environment = clean_environment(PYTHONPATH=f"{site}{os.pathsep}{only_torch}")
    command = [sys.executable, "-S", str(site / "bin" / "normreg"), "eval-map", "a.json", "b.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    said = r"normreg eval-map needs \w+, which is not installed: pip install 'normreg_plugins\[evaluation\]'\n"
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr


INSTALLED_CONFIGS = """
import normreg_plugins
from normreg_plugins.hosts.mmengine import read_config
from pathlib import Path
Path("child.py").write_text('_base_ = "normreg_plugins::mini/yolov3_wrs.py"')
found = read_config("child.py")
print(found.optim_wrapper.regularizer.type, normreg_plugins.__file__)
Path("top.py").write_text('_base_ = "normreg_plugins::mini/../yolov3_wrs.py"')
print(read_config("top.py").optim_wrapper.regularizer.type, "_scope_" in str(found))
"""


@pytest.mark.mm
def test_configs_of_the_wheel_are_bases_by_name(site: Path, tmp_path: Path) -> None:
    pytest.importorskip("mmengine")
    installed = clean_environment(PYTHONPATH=str(site))
    first, second = python("-c", INSTALLED_CONFIGS, cwd=tmp_path, env=installed).splitlines()[-2:]
    assert first.split() == ["WRS", str(site / "normreg_plugins" / "__init__.py")]
    assert second.split() == ["WRS", "False"]  # no class is looked for in a scope of ours, which has none


SMALL_NET = """
model = dict(
    backbone=dict(_delete_=True, type="MobileNetV2", widen_factor=0.25, out_indices=(2, 4, 6)),
    neck=dict(in_channels=[80, 24, 8], out_channels=[16, 16, 16]),
    bbox_head=dict(in_channels=[16, 16, 16], out_channels=[16, 16, 16]),
)
"""


@pytest.mark.mm
@pytest.mark.slow
def test_the_wheel_trains_a_mini_config_without_a_clone(site: Path, tmp_path: Path) -> None:
    """As `mim train normreg_plugins mine.py` does, which runs .mim/tools/train.py on that config."""
    pytest.importorskip("mmengine")
    installed = clean_environment(PYTHONPATH=str(site), OMP_NUM_THREADS="1")
    mim = site / "normreg_plugins" / ".mim"
    make_mini_set("detection", tmp_path / "data/mini/detection", train=8, val=2, size=64)
    options = ["--cfg-options", "train_cfg.max_epochs=1", "train_cfg.val_interval=9"]
    (tmp_path / "mine.py").write_text(f'_base_ = "normreg_plugins::mini/yolov3_wrs.py"\n{SMALL_NET}')
    python(mim / "tools/train.py", "mine.py", *options, cwd=tmp_path, env=installed)
    assert list((tmp_path / "work_dirs").rglob("*.pth"))


def test_versions_are_the_same_everywhere() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
    pins = (ROOT / "requirements/maintained.txt").read_text()
    (ruff,) = re.findall(r"^ruff==(\S+)$", pins, re.MULTILINE)
    assert f"ruff-pre-commit\n    rev: v{ruff}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
    (cuda,) = re.findall(r"^cuda-toolkit==(\d+\.\d+)", pins, re.MULTILINE)  # torch compiles with its own version only
    for page in ("Dockerfile", "docs/installation.md"):
        assert re.findall(r"nvidia/cuda:(\d+\.\d+)", (ROOT / page).read_text()) == [cuda], page


def test_actions_are_pinned_and_the_oldest_lane_is_what_the_package_claims() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    uses = re.findall(r"uses: (\S+)", workflow)
    assert uses
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each) for each in uses)
    lanes = re.findall(r'\{python: "3\.(\d+)", torch: "\'?torch(?:==([\d.]+)\.\*)?', workflow)
    claims = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'requires-python = ">=3\.(\d+)"', claims)[1] == lanes[0][0]
    assert re.search(r'"torch>=([\d.]+)"', claims)[1] == lanes[0][1]


def test_torch_is_the_only_hard_dependency(site: Path) -> None:
    (metadata,) = site.glob("*.dist-info/METADATA")
    required = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(), re.MULTILINE)
    assert [line for line in required if "extra ==" not in line] == ["torch>=2.1"]


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
print(("hook", "NormRegHook") in after, ("hook", "CrowdVisualizationHook") in after, changed)
"""


@pytest.mark.mm
def test_importing_the_package_adds_names_to_the_registries_and_changes_none() -> None:
    """After mmengine, as in a config. Scripts import the adapter, as most tests of hosts do."""
    pytest.importorskip("mmdet")
    assert python("-c", REGISTRIES).strip() == "True True []"
