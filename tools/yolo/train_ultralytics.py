#!/usr/bin/env python
"""The command of normreg_plugins/cli/yolo/train_ultralytics.py."""

import sys

from normreg_plugins.cli.yolo.train_ultralytics import main

if __name__ == "__main__":
    sys.exit(main())
