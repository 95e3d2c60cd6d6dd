"""Train any ultralytics model with WD, WRS, AWS or PGD. Arguments are key=value pairs, as in ultralytics' own command:

  normreg train-ultralytics detect train model=yolov3.yaml data=coco.yaml wrs.interval=10
  normreg train-ultralytics cfg=configs/ultralytics/mini_detection.yaml wrs
  normreg train-ultralytics resume=True model=work_dirs/ultralytics/train/weights/last.pt wrs.interval=10

Without a method's key it runs ultralytics' plain training. Runs go to work_dirs/ultralytics unless project= is given.
monitor=100 reports filter norms, effective rates and rotation every 100 updates (default 50; 0 for none) and draws them
at the end, as norms.png in the folder of the run.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ultralytics import RTDETR, YOLO
from ultralytics.cfg import (
    DEFAULT_CFG_DICT,
    MODES,
    TASKS,
    check_dict_alignment,
    merge_equals_args,
    parse_key_value_pair,
)
from ultralytics.utils import YAML

from normreg_plugins.cli.console import refuse
from normreg_plugins.cli.plot_norms import draw_run
from normreg_plugins.cli.preflight.check import trained_with_method
from normreg_plugins.hosts.methods import key_names, options_of
from normreg_plugins.hosts.ultralytics import take_method, with_method, with_monitor
from normreg_plugins.monitor import EVERY

WORK_DIR = Path("work_dirs/ultralytics")
HELP = ("help", "-h", "--help")
IMPORTS = "imports="


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in HELP:
        print(f"{__doc__}\n{our_keys()}\n\nTheir keys: https://docs.ultralytics.com/usage/cfg")
    else:
        train(parse(arguments))
    return 0


def train(settings: dict[str, Any]) -> None:
    method, monitor = take_method(settings), settings.pop("monitor", EVERY)
    check_keys(settings)
    name, task = settings.pop("model", None), settings.pop("task", None)
    if name is None:
        refuse("model= is missing, such as model=yolov3.yaml (from scratch) or model=best.pt")
    if settings.get("resume") and not method and Path(name).is_file() and trained_with_method(Path(name)):
        refuse(
            f"{name} was trained with a method, and none is given: resume with the keys that the run started with, or "
            f"start a new run from its weights: model={name} without resume"
        )
    if not settings.get("resume"):  # a resumed run keeps its folder
        settings.setdefault("project", str(WORK_DIR.resolve()))
    model = RTDETR(name) if "rtdetr" in Path(name).stem.lower() else YOLO(name, task=task)
    trainer = with_method(model, method, monitor=monitor) if method else with_monitor(model, monitor)
    model.train(trainer=trainer, **settings)
    for run in getattr(model.trainer, "trainers", [model.trainer]):  # one for each set of a list data=[a.yaml,b.yaml]
        draw_run(Path(run.save_dir))


def our_keys() -> str:
    """What --help says of the keys that ultralytics does not have."""
    names = key_names().items()
    lines = (f"  {key}: {', '.join(f'{key}.{option}' for option in options_of(name))}" for key, name in names)
    yours = "  imports: modules that register methods of your own, such as imports=my_method"
    return "\n".join(["Our keys (the name of a method alone takes its defaults):", *lines, yours])


def parse(arguments: list[str]) -> dict[str, Any]:
    """The settings of the file that cfg= names, overridden by those of the command line."""
    settings: dict[str, Any] = {}
    arguments = _import_yours(merge_equals_args(arguments))
    for argument in arguments:
        if "=" in argument:
            key, value = parse_key_value_pair(argument)
            settings[key] = value
        elif argument in TASKS:
            settings["task"] = argument
        elif argument in MODES:
            if argument != "train":
                refuse(f"{argument}: this command trains. Its checkpoints are ultralytics' own: use `yolo {argument}`")
        elif argument in key_names() or isinstance(DEFAULT_CFG_DICT.get(argument), bool):
            settings[argument] = True
        else:
            refuse_key(argument, (*TASKS, *MODES, *key_names(), *DEFAULT_CFG_DICT))
    return {**_file(settings.pop("cfg", None)), **settings}


def check_keys(settings: dict[str, Any]) -> None:
    """Refuse a misspelled key before a model is built."""
    try:
        check_dict_alignment(DEFAULT_CFG_DICT, settings)  # it renames deprecated keys
    except SyntaxError:
        known = (*DEFAULT_CFG_DICT, *key_names(), "monitor", "imports", "cfg")
        for key in settings.keys() - DEFAULT_CFG_DICT.keys():
            refuse_key(key, known)


def refuse_key(key: str, known: Iterable[str]) -> NoReturn:
    name, dot, option = key.partition(".")
    near = [f"{each}{dot}{option}" for each in difflib.get_close_matches(name, list(known))]
    hint = f"did you mean {' or '.join(near)}?" if near else "see normreg train-ultralytics --help"
    refuse(f"{key} is no key of ultralytics or of a method; {hint}")


def _import_yours(arguments: list[str]) -> list[str]:
    """Import the modules that `imports=` names, from the working directory too, and return the other arguments."""
    named = [name for each in arguments if each.startswith(IMPORTS) for name in each.removeprefix(IMPORTS).split(",")]
    if named:
        sys.path.insert(0, str(Path.cwd()))
    try:
        for name in named:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        refuse(f"{IMPORTS}{','.join(named)}: {error} (looked in {Path.cwd()} and on PYTHONPATH)")
    return [each for each in arguments if not each.startswith(IMPORTS)]


def _file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    if not Path(path).is_file():
        refuse(f"cfg={path}: there is no such file (in {Path.cwd()})")
    return YAML.load(path)
