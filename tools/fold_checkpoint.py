#!/usr/bin/env python
"""Fold a checkpoint for inference: `python tools/fold_checkpoint.py CONFIG IN OUT`.

Batch norms, scale-bias layers and weight normalization go into the weights and biases. The new one
belongs to the same config with these parts in its backbone, neck and heads:
  conv_cfg=dict(type="NormRegFoldedConv2d"), norm_cfg=dict(type="NormRegFoldedNorm")
"""

from __future__ import annotations

from mm_checkpoint import MARK, check_change, forward_of, parser, read, write
from mm_cli import refuse

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.layers import AlreadyConvertedError, fold, relative_change


def main() -> None:
    args = parser(__doc__).parse_args()
    try:
        model, meta = read(args)
        if meta.get(MARK, {}).get("to") == "folded":
            raise AlreadyConvertedError(f"{args.checkpoint} is folded already: {meta[MARK]}")
        forward = forward_of(args.size)
        print(f"folding {args.checkpoint}", flush=True)
        result = fold(model, forward, keep=args.keep)
        check_change(relative_change(model, result, forward), exact=True)
        write(args, result, meta, "folded")
    except NormRegError as error:
        refuse(str(error))


if __name__ == "__main__":
    main()
