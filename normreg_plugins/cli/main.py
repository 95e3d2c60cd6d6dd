"""`normreg NAME ...`: the table of all commands. The scripts in tools/ call them through it, too."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple
from urllib.error import URLError

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import DamagedFileError

OURS: tuple[type[Exception], ...] = (NormRegError, DamagedFileError)
"""Errors that are the user's to mend: one line on stderr, without a traceback."""
FILES = (ValueError, OSError)
"""The same for a command that only reads and writes files."""
PACKAGES = (
    "mmengine mmcv mmdet mmseg mmpretrain ultralytics timm numpy scipy sklearn matplotlib rich PIL cv2 pycocotools"
)
"""What our extras install, by the names that are imported."""


class Command(NamedTuple):
    says: str
    target: str
    """MODULE:FUNCTION, in normreg_plugins.cli; the function takes the arguments and returns the exit status."""
    extra: str
    """The extra of this package that installs what the command imports."""
    errors: tuple[type[Exception], ...] = OURS


COMMANDS = {
    "train": Command("train an mm config: mmdet, mmseg, mmpretrain, CSRNet", "train:main", "mm"),
    "test": Command("evaluate a checkpoint, save or draw its predictions", "test:main", "mm"),
    "inspect": Command("which weights a method would act on, with proof", "inspect_model:main", "mm"),
    "plot-norms": Command("draw filter norms, learning rates, loss and score", "plot_norms:main", "monitor", FILES),
    "eval-map": Command("score saved detections: mAP, precision, recall, F1", "eval_map:main", "evaluation", FILES),
    "eval-miou": Command("score saved segmentations: IoU, pixel accuracy", "eval_miou:main", "mm", FILES),
    "eval-mae": Command("score saved counts: MAE, RMSE, NAE", "eval_mae:main", "evaluation", FILES),
    "count": Command("count the people in pictures", "infer_crowd:main", "mm"),
    "convert-checkpoint": Command("convert layers: weight-normalized, scale-bias", "checkpoints:convert_main", "mm"),
    "fold-checkpoint": Command("fold norm layers into weights, for inference", "checkpoints:fold_main", "mm"),
    "train-ultralytics": Command("train an ultralytics model", "train_ultralytics:main", "ultralytics"),
    "make-mini-data": Command("draw a small data set, in seconds", "data.make_mini_data:main", "crowd", FILES),
    **{
        name: Command(f"prepare {title}", f"data.prepare_{target}", "crowd", FILES)
        for name, title, target in (
            ("prepare-bccd", "BCCD", "boxes:bccd"),
            ("prepare-camvid", "CamVid", "masks:camvid"),
            ("prepare-coco2014", "COCO 2014, trainvalno5k", "boxes:coco2014"),
            ("prepare-mbm", "MBM", "crowds:mbm"),
            ("prepare-qnrf", "UCF-QNRF", "crowds:qnrf"),
            ("prepare-shanghaitech", "ShanghaiTech", "crowds:shanghaitech"),
            ("prepare-tinyimagenet", "Tiny ImageNet", "tinyimagenet:main"),
            ("prepare-voc-aug", "Pascal VOC 2012 with SBD", "masks:voc_aug"),
        )
    },
}


def load(name: str) -> Callable[[Sequence[str] | None], int | None]:
    module, _, function = COMMANDS[name].target.partition(":")
    return getattr(import_module(f"normreg_plugins.cli.{module}"), function)


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command. An error that is the user's to mend becomes one line on stderr, and status 2."""
    command = COMMANDS[name]
    try:
        return load(name)(arguments) or 0
    except ModuleNotFoundError as error:
        lacks = (error.name or "").partition(".")[0]
        if lacks not in PACKAGES.split():
            raise
        extra = f"pip install 'normreg_plugins[{command.extra}]'"
        print(f"normreg {name} needs {lacks}, which is not installed: {extra}", file=sys.stderr)
    except URLError as error:  # mm fetches weights
        print(f"normreg {name}: {error}: put the file of the last line 'Downloading' where it says", file=sys.stderr)
    except command.errors as error:
        print(f"normreg {name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"normreg {name}: stopped", file=sys.stderr)
        return 130
    return 2


def usage() -> str:
    rows = (f"  {name:<21} {command.says}" for name, command in COMMANDS.items())
    return "\n".join(["usage: normreg COMMAND ...    (normreg COMMAND --help for its options)", "", *rows])


def main(argv: Sequence[str] | None = None) -> int:
    """`argv` is the name of a command and its arguments; None takes them from the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name.replace("_", "-"), COMMANDS)
        hint = f"did you mean {' or '.join(near)}?" if near else "normreg --help lists all commands"
        print(f"normreg: there is no command {name}; {hint}", file=sys.stderr)
        return 2
    if argv is None:
        sys.argv = [f"normreg {name}", *arguments[1:]]  # the name that --help shows
    return run(name, arguments[1:])
