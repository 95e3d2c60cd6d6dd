#!/usr/bin/env python
"""Train any ultralytics model with WRS, AWS or PGD, in ultralytics' own key=value habit:

  python tools/train_ultralytics.py detect train model=yolov3.yaml data=coco.yaml wrs.interval=10
  python tools/train_ultralytics.py cfg=configs/ultralytics/mini_detection.yaml wrs wrs.decay_norms=True
  python tools/train_ultralytics.py resume=True model=work_dirs/ultralytics/train/weights/last.pt wrs.interval=10

Without a key of ours it is their plain training. Runs go to work_dirs/ultralytics unless project= says where.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ultralytics_cli import WORK_DIR, refuse, stay_inside

HELP = ("help", "-h", "--help")


def our_keys() -> str:
    from normreg_plugins.hosts.ultralytics.method_keys import keys_of, method_names

    lines = (f"  {name}: {', '.join(f'{name}.{option}' for option in keys_of(name))}" for name in method_names())
    return "Our keys, the method's name alone for its defaults:\n" + "\n".join(lines)


def parse(arguments: list[str]) -> dict[str, Any]:
    """The settings in the order of precedence: the file named by cfg=, then the command line."""
    from ultralytics.cfg import DEFAULT_CFG_DICT as THEIRS
    from ultralytics.cfg import MODES, TASKS, check_dict_alignment, merge_equals_args, parse_key_value_pair

    from normreg_plugins.hosts.ultralytics.method_keys import method_names

    settings: dict[str, Any] = {}
    for argument in merge_equals_args(arguments):
        if "=" in argument:
            key, value = parse_key_value_pair(argument)
            settings[key] = value
        elif argument in TASKS:
            settings["task"] = argument
        elif argument in MODES:
            if argument != "train":
                refuse(f"{argument}: this tool trains. Its checkpoints are plain: use their own `yolo {argument}`.")
        elif argument in method_names() or isinstance(THEIRS.get(argument), bool):
            settings[argument] = True
        else:  # their error, with what is near
            check_dict_alignment({**THEIRS, **dict.fromkeys((*TASKS, *MODES))}, {argument: ""})
    return {**_file(settings.pop("cfg", None)), **settings}


def _file(path: str | None) -> dict[str, Any]:
    from ultralytics.utils import YAML

    if path is None:
        return {}
    if not Path(path).is_file():
        refuse(f"cfg={path}: there is no such file (in {Path.cwd()})")
    return YAML.load(path)


def train(settings: dict[str, Any]) -> None:
    from ultralytics import RTDETR, YOLO
    from ultralytics.cfg import DEFAULT_CFG_DICT, check_dict_alignment

    from normreg_plugins.hosts.run_to_resume import trained_with_method
    from normreg_plugins.hosts.ultralytics import with_method
    from normreg_plugins.hosts.ultralytics.method_keys import take_method

    method = take_method(settings)
    check_dict_alignment(DEFAULT_CFG_DICT, settings)  # a typo ends it before a model is built
    name, task = settings.pop("model", None), settings.pop("task", None)
    if name is None:
        refuse("model= is missing, such as model=yolov3.yaml (from scratch) or model=best.pt")
    data = Path(str(settings.get("data")))
    if "mini" in data.parts and not data.exists():
        refuse(f"there is no {data} (in {Path.cwd()}); make it, in seconds: python tools/make_mini_data.py yolo")
    if settings.get("resume") and not method and Path(name).is_file() and trained_with_method(Path(name)):
        refuse(
            f"{name} was trained with a method, and none is given: resume with the keys that run began with, or begin a"
            f" new run with its weights: model={name} and no resume"
        )
    if not settings.get("resume"):  # a resumed run goes on where it was
        settings.setdefault("project", str(WORK_DIR.resolve()))
    model = RTDETR(name) if "rtdetr" in Path(name).stem.lower() else YOLO(name, task=task)
    model.train(trainer=with_method(model, **method) if method else None, **settings)


def main(arguments: list[str]) -> int:
    stay_inside()
    if not arguments or arguments[0] in HELP:
        print(f"{__doc__}\n{our_keys()}\n\nTheir keys: https://docs.ultralytics.com/usage/cfg")
        return 0
    from normreg_plugins.core.errors import NormRegError

    try:
        train(parse(arguments))
    except NormRegError as error:
        refuse(f"train_ultralytics.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
