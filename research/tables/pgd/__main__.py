"""What the constrained paper claims, on scikit-learn's digits, in minutes: `python -m research.tables.pgd`.

It switches centring, sphere and noise on and off (Table 3), compares small batches with batch norm (Table 2),
measures the gradient of short filters (eq. 18-20), and trains on clouds of points (Table 5).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.tables.pgd import constraints, explosion, points
from research.tables.study import Study, main_of

STUDIES: dict[str, Study] = {
    "ablation": constraints.ABLATION,
    "batches": constraints.BATCHES,
    "explosion": explosion.STUDY,
    "points": points.STUDY,
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of("pgd", __doc__, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
