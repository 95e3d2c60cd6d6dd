"""Campaigns that attack the package. Each is a command; a small part of it runs as a test.

python -m research.campaigns.bad_input --cases 2000     bad settings and damaged files
python -m research.campaigns.kills --kills 30           kills runs at random moments, resumes them, compares the ends
python -m research.campaigns.load --updates 100000      very many updates with every method

Each exits with status 1 if it found something. docs/faults.md says what they found.
They train the nets of tests/helpers, so this package puts `tests` on the path. Set OMP_NUM_THREADS=1 to run them.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
