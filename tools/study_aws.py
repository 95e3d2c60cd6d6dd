#!/usr/bin/env python
"""What the AWS paper claims, on scikit-learn's digits, in minutes: `python tools/study_aws.py`.

Where norms come to rest under AWS and weight decay, with the exponents of the theory; whether it matters how large the
weights begin (Fig. 5-6); and which strengths drive a weight-standardized net out of float32 (Tables 1-2).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from studies import aws_beginnings, aws_equilibrium, aws_overflow
from studies.command import Part, main_of

PARTS = {
    "equilibrium": Part(aws_equilibrium, updates=800, summary=aws_equilibrium.exponents),
    "beginnings": Part(aws_beginnings, updates=2000),
    "overflow": Part(aws_overflow, updates=1200),
}


def main(argv: Sequence[str] | None = None) -> int:
    return main_of(__doc__, "study_aws", PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
