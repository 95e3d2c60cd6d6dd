"""Keep what ultralytics writes in the work dir, and keep it from downloading a font."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from normreg_plugins.whole_files import replacing

WORK_DIR = Path("work_dirs/ultralytics")


def stay_inside() -> None:
    """Let ultralytics keep its settings in the work dir, unless YOLO_CONFIG_DIR is set. Call it before the import.

    ultralytics looks for a font beside its settings whenever it checks a data set, and downloads it if there is none.
    matplotlib's font is put there instead.
    """
    if "YOLO_CONFIG_DIR" in os.environ:
        return
    config = WORK_DIR.resolve() / ".config"
    os.environ["YOLO_CONFIG_DIR"] = str(config)
    font = config / "Ultralytics" / "Arial.ttf"
    if not font.exists():
        import matplotlib

        with replacing(font) as unfinished:
            shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", unfinished)
