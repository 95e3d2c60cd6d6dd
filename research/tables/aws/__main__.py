"""What the AWS paper claims, on scikit-learn's digits, in minutes: `python -m research.tables.aws`.

It asks four questions. At which filter norm do AWS and weight decay balance the gradient, and does theory predict it?
Does it matter how large the weights are at the start (Fig. 5-6)? Which strengths drive a weight-standardized net out of
the range of float32 (Tables 1-2)? How long does a filter without a gradient last at the paper's own rates (Table 1)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.tables.aws import beginnings, dead_filter, equilibrium, overflow
from research.tables.study import Study, main_of

STUDIES: dict[str, Study] = {
    "equilibrium": equilibrium.STUDY,
    "beginnings": beginnings.STUDY,
    "overflow": overflow.STUDY,
    "dead_filter": dead_filter.STUDY,
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of("aws", __doc__, STUDIES, argv)


if __name__ == "__main__":
    sys.exit(main())
