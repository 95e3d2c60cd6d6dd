"""`make demo`: a small YOLOv3 on drawn shapes, with weight decay and with WRS, in one figure.

Each step is a command that you could type; it is printed before it runs. Arguments are settings of both configs, as
`--cfg-options` takes them.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from normreg_plugins.monitor import log_of, read_run

ROOT = Path(__file__).resolve().parents[1]
DATA, OUT = Path("data/mini/detection"), Path("work_dirs/demo")
RUNS = {"wd": "weight decay", "wrs": "WRS"}
SHORT = (
    "train_dataloader.dataset.indices=184",  # of 400, so that both together take the time of one full run
    "default_hooks.checkpoint.interval=-1",
    "default_hooks.checkpoint.save_last=False",
    "default_hooks.checkpoint.save_best=None",
    "default_hooks.visualization.draw=False",
)
FIGURE = ("--score", "coco/bbox_mAP_50", "--out", OUT / "norms.png")
NEXT = """
Next:
  your config   python tools/inspect_model.py CONFIG --method WRS says which weights it would act on;
                python tools/train.py CONFIG --method WRS interval=10 trains; README.md has the lines for a config
  your data     python tools/data/prepare_bccd.py FOLDER data/mine --any-counts reads PASCAL VOC's layout;
                docs/detection.md, docs/segmentation.md, docs/crowd.md
  fine-tuning   radius="initial" starts from your filter norms and keeps your learning rate: docs/fine_tuning.md"""


def run(tool: str, *arguments: str | Path) -> None:
    words = [f"tools/{tool}", *map(str, arguments)]
    print(f"\n$ python {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, ROOT / words[0], *words[1:]], check=True)


def train(method: str, settings: list[str]) -> None:
    saved = f"val_evaluator.0.outfile_prefix={OUT / method}"
    config = ROOT / f"configs/mini/yolov3_{method}.py"
    run("train.py", config, "--work-dir", OUT / method, "--cfg-options", *SHORT, saved, *settings)


def measured(method: str) -> tuple[float, float, float]:
    """The mean filter norm of the layer where it is smallest, and where it is largest, and mAP@.5; at the end."""
    curves = read_run(log_of(OUT / method)).curves
    smallest, largest, score = (
        curves[name][1][-1] for name in ("norms/smallest_layer", "norms/largest_layer", "coco/bbox_mAP_50")
    )
    return smallest, largest, score


def what_it_means() -> str:
    (low, high, map_wd), (low_wrs, high_wrs, map_wrs) = map(measured, RUNS)
    return (
        f"Filter norm: with weight decay {low:.2f} to {high:.2f}, layer by layer; with WRS {low_wrs:.2f} to "
        f"{high_wrs:.2f}.\n"
        "Effective rate (learning rate / squared norm), which decides how far a step turns a filter: with weight decay "
        f"some layers have {(high / low) ** 2:.0f} times that of others, and long trainings shift it; with WRS "
        f"{(high_wrs / low_wrs) ** 2:.0f} times, and only your schedule does.\n"
        f"mAP@.5: {map_wd:.2f} with weight decay, {map_wrs:.2f} with WRS. One short run each, so a difference may be "
        "chance: WRS spares the search for a weight decay. docs/results has fair comparisons."
    )


def main(settings: list[str]) -> None:
    shutil.rmtree(OUT, ignore_errors=True)  # of the last demo
    run("data/make_mini_data.py", "detection")
    for method in RUNS:
        train(method, settings)
    run("plot_norms.py", *(OUT / method for method in RUNS), "--names", *RUNS.values(), *FIGURE)
    found = [OUT / f"{method}.bbox.json" for method in RUNS]
    for which in "worst", "best":
        pictures = ["--images", str(DATA / "val"), "--pictures", "3", *(["--best"] if which == "best" else [])]
        scored: list[str | Path] = [DATA / "annotations/val.json", *found, "--names", *RUNS.values()]
        run("eval_map.py", *scored, *pictures, "--out", OUT / which)
    print(f"\n{what_it_means()}\n\nThe figure: {OUT / 'norms.png'}")
    print(f"Pictures: {OUT / 'worst/pictures.png'}, {OUT / 'best/pictures.png'}\n{NEXT}")


if __name__ == "__main__":
    main(sys.argv[1:])
