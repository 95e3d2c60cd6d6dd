"""Every table and figure of the four papers: one folder per paper, whose README has a command for each.

Most are comparisons (`research.compare`), described with settings.py. The others are studies: `python -m
research.tables.l2.equilibrium`. study.py is what they share. curves.py draws what trainings logged.
"""
