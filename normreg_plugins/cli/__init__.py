"""The commands: `normreg NAME ...`, or `python tools/NAME.py ...` where mm users expect a script. main.py has the list."""
