"""The commands: `normreg NAME ...`, or a script in tools/ where mm users expect one. main.py has the list."""
