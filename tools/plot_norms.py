#!/usr/bin/env python
"""The command of normreg_plugins/cli/plot_norms.py."""

import sys

from normreg_plugins.cli.plot_norms import main

if __name__ == "__main__":
    sys.exit(main())
