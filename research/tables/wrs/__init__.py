"""The WRS paper: which strengths work (Fig. 2b), and how sparse the weights become (Fig. 4 and 5)."""

from research.tables.study import Study
from research.tables.wrs import shapes, strengths

STUDIES: dict[str, Study] = {"strengths": strengths.STUDY, "shapes": shapes.STUDY}
