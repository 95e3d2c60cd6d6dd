"""Where our ultralytics tools write, and a font that keeps ultralytics from downloading one.

Its settings stay the user's: their data folder, their logger switches.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from normreg_plugins.files import atomic_path

WORK_DIR = Path("work_dirs/ultralytics")


def provide_font() -> None:
    """Let ultralytics find a font.

    Whenever it checks a data set it looks for Arial.ttf, first beside its settings and then among the fonts that
    matplotlib knows, and downloads it if it finds none. matplotlib's own font is put among the latter under that name.
    """
    import matplotlib
    from matplotlib.font_manager import fontManager

    if any("Arial.ttf" in font.fname for font in fontManager.ttflist):
        return
    font = WORK_DIR.resolve() / ".fonts" / "Arial.ttf"
    if not font.exists():
        with atomic_path(font) as unfinished:
            shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", unfinished)
    fontManager.addfont(font)
