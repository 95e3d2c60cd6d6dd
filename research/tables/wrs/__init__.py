"""The WRS paper: how sparse the weights become (Fig. 4 and 5). Which strengths work is a comparison."""

from research.tables.study import Study
from research.tables.wrs import shapes

STUDIES: dict[str, Study] = {"shapes": shapes.STUDY}
