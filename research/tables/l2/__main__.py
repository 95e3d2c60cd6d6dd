"""What the L2 paper claims, on scikit-learn's digits, in minutes: `python -m research.tables.l2`.

It measures two laws of scale-invariant filters. With which power of rate / weight decay does their norm at equilibrium
go, under each optimizer (Table 1)? With which power of weight decay does the best learning rate go (Section 6)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.tables.l2 import best_rates, equilibrium
from research.tables.study import Study, main_of

STUDIES: dict[str, Study] = {"equilibrium": equilibrium.STUDY, "best_rates": best_rates.STUDY}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of("l2", __doc__, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
