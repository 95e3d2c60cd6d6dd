#!/usr/bin/env python
"""What the constrained paper claims, on scikit-learn's digits, in minutes: `python tools/study_pgd.py`.

The ablation of centring, sphere and noise (Table 3), and small batches against batch norm (Table 2).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from studies import pgd_ablation, pgd_batches
from studies.command import Part, main_of

PARTS = {
    "ablation": Part(pgd_ablation, updates=600),
    "batches": Part(pgd_batches, updates=250),
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_pgd", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
