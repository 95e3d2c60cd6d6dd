"""The L2 paper: the filter norm at equilibrium (Table 1), and the best learning rate (Section 6)."""

from research.tables.l2 import best_rates, equilibrium
from research.tables.study import Study

STUDIES: dict[str, Study] = {"equilibrium": equilibrium.STUDY, "best_rates": best_rates.STUDY}
