"""torchvision's MobileNetV2 under mmdet's or mmseg's names: `python -m research.prepare_mobilenetv2 RAW mmseg OUT`.

RAW is mobilenet_v2-b0353104.pth, the ImageNet weights that torchvision publishes. All three classes register the same
layers in the same order, so the entries of one are those of the others. mmseg's ends before the last convolution.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import torch

from normreg_plugins.files import atomic_path


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("host", choices=("mmdet", "mmseg"))
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    wanted = import_module(f"{args.host}.models.backbones").MobileNetV2().state_dict()
    raw = torch.load(args.raw, weights_only=True, map_location="cpu")
    renamed = dict(zip(wanted, raw.values()))
    if different := [
        name for name, tensor in wanted.items() if name not in renamed or renamed[name].shape != tensor.shape
    ]:
        raise SystemExit(f"{args.raw}: no weights of MobileNetV2; {different[0]} is missing or has another shape")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.out) as path:
        torch.save({"state_dict": renamed}, path)
    print(f"{args.out}: {len(renamed)} tensors")


if __name__ == "__main__":
    main()
