"""The AWS paper: the norm at equilibrium, and filters without a gradient."""

from research.tables.aws import dead_filter, equilibrium
from research.tables.study import Study

STUDIES: dict[str, Study] = {
    "equilibrium": equilibrium.STUDY,
    "dead_filter": dead_filter.STUDY,
}
