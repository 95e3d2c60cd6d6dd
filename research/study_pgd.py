#!/usr/bin/env python
"""What the constrained paper claims, on scikit-learn's digits, in minutes: `python research/study_pgd.py`.

It switches centring, sphere and noise on and off (Table 3), compares small batches with batch norm (Table 2),
measures the gradient of short filters (eq. 18-20), and trains on clouds of points (Table 5).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.studies import pgd_ablation, pgd_batches, pgd_explosion, pgd_points
from research.studies.command import Part, main_of

PARTS = {
    "ablation": Part(pgd_ablation, updates=600),
    "batches": Part(pgd_batches, updates=250),
    "explosion": Part(pgd_explosion, updates=10),
    "points": Part(pgd_points, updates=200),
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_pgd", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
