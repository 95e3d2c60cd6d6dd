"""One comparison: methods x rates x seeds, trained cell by cell, its table and its pictures. A library.

description.py   what is compared: a short file in configs/comparisons
cells.py         one training of the table: its folder, its claim, its result
plan.py          which cells are wanted next: rates are chosen on validation, then all seeds
work.py          trains wanted cells until none is left
train_cell.py    trains one cell, by the kind of the task
scores.py        the scores of a table, and the paired test
page.py          the table as Markdown
figures.py       the pictures
"""
