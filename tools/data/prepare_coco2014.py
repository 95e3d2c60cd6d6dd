#!/usr/bin/env python
"""The command `normreg prepare-coco2014`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-coco2014", *sys.argv[1:]]))
