"""Count the people in pictures: `normreg count best-1a2b3c4d.pth photo.jpg party.png`.

For each picture it prints the count and writes NAME_count.jpg in the folder --out: the picture with its density and its
count. The config is read from the checkpoint. Only weights are read, so that a checkpoint of unknown origin is safe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

import normreg_plugins  # noqa: F401  (it registers the mm parts)
from normreg_plugins.cli.checkpoints import load_weights
from normreg_plugins.cli.console import refuse
from normreg_plugins.cli.mm_runs import config_of, require_checkpoint
from normreg_plugins.crowd import Counter
from normreg_plugins.crowd.data.images import SHORTER_SIDE, UnreadableImageError, bounded, checked_bounds, read_rgb
from normreg_plugins.evaluation.counting import overlay, save_counts, save_map
from normreg_plugins.files import atomic_path, load_checkpoint
from normreg_plugins.hosts.mmengine.crowd import CrowdCounter

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", type=Path, help="trained weights")
    add("images", type=Path, nargs="+", help="pictures")
    add("--config", type=Path, help="config of the network (default: the one in the checkpoint)")
    add("--out", type=Path, default=Path("crowd_counts"), help="folder for the drawn pictures")
    add("--save", action="store_true", help="save counts and density maps there for eval-mae")
    sides = "bounds of the shorter side, as in the training data (default: 512 2048)"
    add("--sides", type=int, nargs=2, default=SHORTER_SIDE, metavar=("LEAST", "MOST"), help=sides)
    add("--device", default=DEVICE)
    return parser.parse_args(argv)


def build(path: Path, config: Path | None = None, device: str = "cpu") -> Counter:
    """The counter of the config, with the checkpoint's weights. Unlike `load_counter`, it builds all of mm's layers."""
    require_checkpoint("checkpoint", str(path))
    meta = load_checkpoint(path)["meta"]
    if config is not None:
        cfg = config_of(config)
    elif "cfg" in meta:
        cfg = Config.fromstring(meta["cfg"], file_format=".py")
    else:
        refuse(f"{path} has no config; give one with --config")
    init_default_scope(cfg.get("default_scope", "mmengine"))
    model = MODELS.build(cfg.model)
    if not isinstance(model, CrowdCounter):
        refuse(f"the config builds a {type(model).__name__}; a CrowdCounter is needed")
    load_weights(model, path, config or "its config")
    model = model.to(device).eval()
    return Counter(model.backbone, model.data_preprocessor.mean, model.data_preprocessor.std)


def count_or_say_why(counter: Counter, path: Path, args: argparse.Namespace) -> float | None:
    """Count one picture, and draw it. None, with the reason on stderr, if it cannot be read."""
    try:
        image = bounded(read_rgb(path, upright=True), tuple(args.sides))
    except (UnreadableImageError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return None
    number, density = counter(image)
    print(f"{path}: {number:.1f}")
    drawn = Image.fromarray(overlay(image, density, f"{number:.0f} people"))
    with atomic_path(args.out / f"{path.stem}_count.jpg") as unfinished:
        drawn.save(unfinished, quality=92)
    if args.save:
        save_map(args.out, path.stem, density)
    return number


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if len({path.stem for path in args.images}) < len(args.images):
        refuse("two pictures have the same name; count them in two runs with another --out each")
    try:
        checked_bounds(tuple(args.sides))
    except ValueError as error:
        refuse(f"--sides: {error}")
    counter = build(args.checkpoint, args.config, args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    counts = {path.stem: count_or_say_why(counter, path, args) for path in args.images}
    known = {name: number for name, number in counts.items() if number is not None}
    if args.save:
        save_counts(args.out, known)
    print(f"pictures: {args.out}")
    return 0 if len(known) == len(counts) else 1
