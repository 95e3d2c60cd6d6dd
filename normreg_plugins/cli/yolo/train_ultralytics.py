"""Train any ultralytics model with WD, WRS, AWS or PGD. Arguments are key=value pairs, as in ultralytics' own command:

  python tools/yolo/train_ultralytics.py detect train model=yolov3.yaml data=coco.yaml wrs.interval=10
  python tools/yolo/train_ultralytics.py cfg=configs/ultralytics/mini_detection.yaml wrs wrs.decay_on=norm_layers
  python tools/yolo/train_ultralytics.py resume=True model=work_dirs/ultralytics/train/weights/last.pt wrs.interval=10

Without a method's key it runs ultralytics' plain training. Runs go to work_dirs/ultralytics unless project= says where.
monitor=100 reports filter norms, effective rates and rotation every 100 updates (default 50; 0 for none). At the end
they are drawn, as norms.png in the folder of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normreg_plugins.cli.preflight.run_to_resume import trained_with_method
from normreg_plugins.cli.shared.refusal import refuse
from normreg_plugins.cli.shared.run_pictures import draw_run
from normreg_plugins.cli.yolo.key_values import our_keys, parse
from normreg_plugins.cli.yolo.ultralytics_cli import WORK_DIR, provide_font

HELP = ("help", "-h", "--help")


def train(settings: dict[str, Any]) -> None:
    from ultralytics import RTDETR, YOLO
    from ultralytics.cfg import DEFAULT_CFG_DICT, check_dict_alignment

    from normreg_plugins.hosts.monitoring import EVERY
    from normreg_plugins.hosts.ultralytics import with_method, with_monitor
    from normreg_plugins.hosts.ultralytics.method_keys import take_method

    method, monitor = take_method(settings), settings.pop("monitor", EVERY)
    check_dict_alignment(DEFAULT_CFG_DICT, settings)  # a misspelled key is refused before a model is built
    name, task = settings.pop("model", None), settings.pop("task", None)
    if name is None:
        refuse("model= is missing, such as model=yolov3.yaml (from scratch) or model=best.pt")
    data = Path(str(settings.get("data")))
    if "mini" in data.parts and not data.exists():
        refuse(f"there is no {data} (in {Path.cwd()}); make it, in seconds: python tools/data/make_mini_data.py yolo")
    if settings.get("resume") and not method and Path(name).is_file() and trained_with_method(Path(name)):
        refuse(
            f"{name} was trained with a method, and none is given: resume with the keys that the run began with, or "
            f"begin a new run with its weights: model={name} and no resume"
        )
    if not settings.get("resume"):  # a resumed run keeps its folder
        settings.setdefault("project", str(WORK_DIR.resolve()))
    model = RTDETR(name) if "rtdetr" in Path(name).stem.lower() else YOLO(name, task=task)
    trainer = with_method(model, method, monitor=monitor) if method else with_monitor(model, monitor)
    model.train(trainer=trainer, **settings)
    draw_run(Path(model.trainer.save_dir))


def main(arguments: list[str]) -> int:
    provide_font()
    if not arguments or arguments[0] in HELP:
        print(f"{__doc__}\n{our_keys()}\n\nTheir keys: https://docs.ultralytics.com/usage/cfg")
        return 0
    from normreg_plugins.core.errors import NormRegError

    try:
        train(parse(arguments))
    except NormRegError as error:
        refuse(f"train_ultralytics.py: {error}")
    return 0
