"""Count the updates whose gradient was clipped, from the log of a run.

  python tools/train.py configs/mini/yolov3_wd.py \\
      --cfg-options default_hooks.logger.interval=1 log_processor.window_size=1
  python -m research.clipped_updates work_dirs/mini/yolov3_wd

mm logs the norm that a gradient has before it is clipped. The two settings let it log each update by itself.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from normreg_plugins.monitor import logged_scores


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="WORK_DIR")
    parser.add_argument("--max-norm", type=float, default=35.0, help="of clip_grad (%(default)s)")
    args = parser.parse_args(argv)
    try:
        for run in args.runs:
            _, norms = logged_scores(run, ["grad_norm"])["grad_norm"]
            clipped = sum(not norm <= args.max_norm for norm in norms)  # NaN counts too
            spread = f"norms {min(norms):.3g} to {max(norms):.3g}, median {statistics.median(norms):.3g}"
            print(f"{run}: {clipped} of {len(norms)} logged updates clipped at {args.max_norm:g}; {spread}")
    except (ValueError, OSError) as error:
        print(f"clipped_updates.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
