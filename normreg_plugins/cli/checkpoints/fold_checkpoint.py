"""Fold a checkpoint for inference: `python tools/checkpoints/fold_checkpoint.py CONFIG IN OUT`.

Batch norm, scale-bias layers and weight normalization are folded into the weights and biases. The new checkpoint
belongs to the same config with these settings in its backbone, neck and heads:
  conv_cfg=dict(type="NormRegFoldedConv2d"), norm_cfg=dict(type="NormRegFoldedNorm")
"""

from __future__ import annotations

from normreg_plugins.cli.checkpoints.mm_checkpoint import MARK, check_change, forward_of, parser, read, write
from normreg_plugins.cli.shared.refusal import refuse
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
