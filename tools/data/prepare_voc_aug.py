#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/prepare_voc_aug.py."""

import sys

from normreg_plugins.cli.data.prepare_voc_aug import main

if __name__ == "__main__":
    sys.exit(main())
