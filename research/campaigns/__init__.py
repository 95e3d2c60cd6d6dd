"""Campaigns that attack the package: bad input, kills, and load. Each is a command; a small part runs as a test.

python research/campaigns/bad_input.py --cases 2000
python research/campaigns/kills.py --kills 30
python research/campaigns/load.py --updates 100000

Each writes a report as JSON and ends with status 1 if something was found. docs/faults.md tells what they found.
"""
