#!/usr/bin/env python
"""The command of normreg_plugins/cli/crowd/infer_crowd.py."""

import sys

from normreg_plugins.cli.crowd.infer_crowd import main

if __name__ == "__main__":
    sys.exit(main())
