"""What the WRS paper claims, on scikit-learn's digits, in minutes: `python -m research.tables.wrs`.

It asks three questions. Which strengths of weight decay and of WRS work (Fig. 2b)? When must they be active (Fig. 1 and
6a)? How sparse do the weights become, as they are and in the space of their inputs (Fig. 4 and 5)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.tables.study import Study, main_of
from research.tables.wrs import phases, shapes, strengths

STUDIES: dict[str, Study] = {"strengths": strengths.STUDY, "phases": phases.STUDY, "shapes": shapes.STUDY}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of("wrs", __doc__, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
