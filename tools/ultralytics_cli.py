"""What the ultralytics tools share: what they write stays in the work dir, and no font is fetched."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

WORK_DIR = Path("work_dirs/ultralytics")


def stay_inside() -> None:
    """To be called before ultralytics is imported: its settings go to the work dir, unless YOLO_CONFIG_DIR says where.

    It looks for a font there whenever it checks a data set, and would download one.
    """
    if "YOLO_CONFIG_DIR" in os.environ:
        return
    config = WORK_DIR.resolve() / ".config"
    os.environ["YOLO_CONFIG_DIR"] = str(config)
    font = config / "Ultralytics" / "Arial.ttf"
    if not font.exists():
        import matplotlib

        font.parent.mkdir(parents=True, exist_ok=True)
        unfinished = font.with_suffix(f".{os.getpid()}")
        shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", unfinished)
        unfinished.replace(font)


def refuse(message: str) -> NoReturn:
    """End with the message and no traceback."""
    print(message, file=sys.stderr)
    sys.exit(2)
