#!/usr/bin/env python
"""What the AWS paper claims, on scikit-learn's digits, in minutes: `python research/study_aws.py`.

It asks four questions. At which filter norm do AWS and weight decay balance the gradient, and does theory predict it?
Does it matter how large the weights are at the start (Fig. 5-6)? Which strengths drive a weight-standardized net out of
the range of float32 (Tables 1-2)? How long does a filter without a gradient last at the paper's own rates (Table 1)?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from research.studies import aws_beginnings, aws_dead_filter, aws_equilibrium, aws_overflow
from research.studies.command import Part, main_of

PARTS = {
    "equilibrium": Part(aws_equilibrium, updates=800, summary=aws_equilibrium.exponents),
    "beginnings": Part(aws_beginnings, updates=2000),
    "overflow": Part(aws_overflow, updates=1200),
    "dead_filter": Part(aws_dead_filter, updates=450_000),
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_aws", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
