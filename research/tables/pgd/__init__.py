"""The constrained paper: the gradient of short filters (eq. 18-20), and clouds of points (Table 5)."""

from research.tables.pgd import explosion, points
from research.tables.study import Study

STUDIES: dict[str, Study] = {"explosion": explosion.STUDY, "points": points.STUDY}
