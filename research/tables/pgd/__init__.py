"""The constrained paper: clouds of points (Table 5). Tables 1 to 3 are comparisons on CIFAR-10."""

from research.tables.pgd import points
from research.tables.study import Study

STUDIES: dict[str, Study] = {"points": points.STUDY}
