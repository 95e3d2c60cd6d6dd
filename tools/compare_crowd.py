#!/usr/bin/env python
"""WD against WRS, AWS and PGD on the drawn crowds: `python tools/compare_crowd.py --seeds 0 1 2`.

It takes configs/mini/csrnet_*.py as they are and changes the seed only, then prints the errors on the
test set of the checkpoint with the best validation MAE, as each came out. A run that is done is not
done again: its result lies in the work dir. Allow five minutes for each on two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

import normreg_plugins  # noqa: F401  (it registers the mm parts)
from normreg_plugins.crowd.prepare import write_json

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("wd", "wrs", "wrs_ic", "aws", "pgd")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=["wd", "wrs", "aws", "pgd"])
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--work-dir", type=Path, default=Path("work_dirs/compare_crowd"))
    return parser.parse_args()


def run(method: str, seed: int, work_dir: Path) -> dict[str, float]:
    """Train, then test the checkpoint with the best validation MAE; or read what came of it before."""
    result_file = work_dir / "result.json"
    if result_file.is_file():
        return json.loads(result_file.read_text())
    cfg = Config.fromfile(ROOT / "configs" / "mini" / f"csrnet_{method}.py")
    cfg.randomness = {"seed": seed}
    cfg.work_dir = str(work_dir)
    cfg.visualizer.name = f"{method}-{seed}"  # mmengine keeps one visualizer per name
    runner = Runner.from_cfg(cfg)
    runner.train()
    best = runner.message_hub.get_info("best_ckpt")
    scores: dict[str, Any] = runner.message_hub.get_scalar("val/count/MAE").data[0].tolist()
    runner.load_checkpoint(best)
    errors = runner.test()
    result = {"val MAE": min(scores), "MAE": errors["count/MAE"], "RMSE": errors["count/RMSE"]}
    write_json(result_file, result)
    return result


def main() -> int:
    args = parse_args()
    results = {
        method: [run(method, seed, args.work_dir / f"{method}_{seed}") for seed in args.seeds]
        for method in args.methods
    }
    print(f"\n| method | val MAE | test MAE, seeds {args.seeds} | mean MAE | mean RMSE ('MSE') |")
    print("|---|---|---|---|---|")
    for method, some in results.items():
        single = ", ".join(f"{result['MAE']:.2f}" for result in some)
        val, mae, rmse = (statistics.mean(r[key] for r in some) for key in ("val MAE", "MAE", "RMSE"))
        print(f"| {method} | {val:.2f} | {single} | {mae:.2f} | {rmse:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
