"""The AWS paper: the norm at equilibrium, larger weights at the start (Fig. 5 and 6), filters without a gradient."""

from research.tables.aws import beginnings, dead_filter, equilibrium
from research.tables.study import Study

STUDIES: dict[str, Study] = {
    "equilibrium": equilibrium.STUDY,
    "beginnings": beginnings.STUDY,
    "dead_filter": dead_filter.STUDY,
}
