#!/usr/bin/env python
"""What the WRS paper claims, on scikit-learn's digits, in minutes: `python research/study_wrs.py`.

It asks two questions. When must weight decay or WRS be active (Fig. 1 and 6a)? How sparse do the weights become, as
they stand and in the space of their inputs (Fig. 4 and 5)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.studies import wrs_phases, wrs_shapes
from research.studies.command import Part, main_of

PARTS = {"phases": Part(wrs_phases, updates=1000), "shapes": Part(wrs_shapes, updates=600)}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_wrs", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
