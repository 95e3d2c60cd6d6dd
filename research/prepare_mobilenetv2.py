"""Write torchvision's MobileNetV2 under the names of OpenMMLab's: `python -m research.prepare_mobilenetv2 RAW OUT`.

RAW is mobilenet_v2-b0353104.pth, the ImageNet weights that torchvision publishes. Both classes register the same layers
in the same order, so the entries of one are those of the other, without the classifier.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmdet.models.backbones import MobileNetV2

from normreg_plugins.files import atomic_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    raw = torch.load(args.raw, weights_only=True, map_location="cpu")
    wanted = MobileNetV2().state_dict()
    tensors = [tensor for name, tensor in raw.items() if not name.startswith("classifier.")]
    renamed = dict(zip(wanted, tensors, strict=True))
    if different := [name for name, tensor in renamed.items() if tensor.shape != wanted[name].shape]:
        raise SystemExit(f"{args.raw}: no weights of MobileNetV2; {different[0]} has another shape")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.out) as path:
        torch.save({"state_dict": renamed}, path)
    print(f"{args.out}: {len(renamed)} tensors")


if __name__ == "__main__":
    main()
