"""How plots look: readable for colour-blind readers and in grey, and small as files.

matplotlib is imported by the functions that need it. The extra `evaluation` installs it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normreg_plugins.files import atomic_path

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
POINT = {"s": 11, "color": "#F0E442", "edgecolor": "black", "linewidth": 0.6}
"""How a point looks that is seen on any picture: the yellow of Okabe and Ito with a dark edge."""
MARKERS_A_CURVE = 8
POINTS_A_CURVE = 150
SUFFIXES = (".png", ".svg")
DPI = 110


def new_figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style(index: int, points: int) -> dict[str, Any]:
    """Colour, dashes and markers of the curve with this index. Markers of different curves stand apart."""
    gap = max(1, points // MARKERS_A_CURVE)
    return {
        "color": OKABE_ITO[index % len(OKABE_ITO)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markevery": (index * max(1, gap // 3) % gap, gap),
        "markersize": 4.5,
        "linewidth": 1.4,
    }


def thinned(x: Sequence[float], y: Sequence[float], points: int = POINTS_A_CURVE) -> tuple[list[float], list[float]]:
    """At most so many points, each the mean of its neighbours."""
    size = math.ceil(len(x) / points)
    if size <= 1:
        return list(x), list(y)
    bins = [slice(start, start + size) for start in range(0, len(x), size)]
    return [sum(x[b]) / len(x[b]) for b in bins], [sum(y[b]) / len(y[b]) for b in bins]


def log_scale(axis: Any, least: float, greatest: float) -> None:
    """A logarithmic axis for this range whose labels are plain numbers: 0.5, not 5 x 10^-1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    decades = math.log10(greatest / least) if greatest > least > 0 else 0
    ticks = LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,), numticks=8)
    axis.set_major_locator(MaxNLocator(4) if decades < 0.7 else ticks)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Any, path: Path, dpi: int = DPI, photographs: bool = False) -> None:
    """As PNG or SVG by the suffix of the path; the same figure gives the same file.

    Args:
        photographs: keep all colours of a PNG. 256 are enough for a plot.
    """
    from matplotlib import rc_context

    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path.name}: a picture ends in {' or '.join(SUFFIXES)}")
    metadata = {"Date": None} if path.suffix == ".svg" else None
    settings = {"svg.hashsalt": "normreg_plugins", "svg.fonttype": "none"}
    with rc_context(settings), atomic_path(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:], dpi=dpi, metadata=metadata)
        if path.suffix == ".png" and not photographs:
            _to_palette(unfinished)


def _to_palette(png: Path) -> None:
    """256 colours are enough for a plot and make a third of the file."""
    from PIL import Image

    with Image.open(png) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(png, optimize=True)
