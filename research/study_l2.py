#!/usr/bin/env python
"""What the L2 paper claims, on scikit-learn's digits, in minutes: `python research/study_l2.py`.

It measures two laws of scale-invariant filters. With which power of rate / weight decay goes their norm at equilibrium,
under each optimizer (Table 1)? With which power of weight decay goes the best learning rate (Section 6)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.studies import l2_best_rates, l2_equilibrium
from research.studies.command import Part, main_of

PARTS = {
    "equilibrium": Part(l2_equilibrium, updates=1000, summary=l2_equilibrium.exponents),
    "best_rates": Part(l2_best_rates, updates=1000),
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_l2", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
