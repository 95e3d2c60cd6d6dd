"""The L2 paper: the filter norm at equilibrium (Table 1). The best rates (Section 6) are a comparison."""

from research.tables.l2 import equilibrium
from research.tables.study import Study

STUDIES: dict[str, Study] = {"equilibrium": equilibrium.STUDY}
