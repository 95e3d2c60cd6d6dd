"""The runner of tables: methods x columns x rates x seeds, trained cell by cell, then a page and its pictures.

description.py   what is compared: a short file in descriptions/
cells.py         one training of the table and its result; which cells are wanted next
train_cell.py    trains the wanted cells, all of them or one part of several
scores.py        the scores of a table, and the paired test
page.py          the table as Markdown and as JSON
figures.py       the pictures
"""
