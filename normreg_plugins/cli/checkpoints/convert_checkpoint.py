"""Convert a checkpoint of a batch norm net: `python tools/checkpoints/convert_checkpoint.py CONFIG IN OUT --to ws`.

The new checkpoint belongs to the same config with these settings in its backbone, neck and heads:
  wn, cwn, ws, bwn   conv_cfg=dict(type="NormRegWSConv2d"), with gain=True after --gain
  pgd                norm_cfg=dict(type="NormRegScaleBias")
"""

from __future__ import annotations

import argparse

from normreg_plugins.cli.checkpoints.mm_checkpoint import MARK, check_change, forward_of, parser, read, write
from normreg_plugins.cli.shared.refusal import refuse
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.layers import NORMALIZATIONS, AlreadyConvertedError, convert, relative_change


def parse_args() -> argparse.Namespace:
    add = (options := parser(__doc__)).add_argument
    add("--to", required=True, choices=[*NORMALIZATIONS, "pgd"], help="the parametrization to convert to")
    add("--gain", action="store_true", help="not for pgd: with a learnable gain, which begins at the filter norms")
    add("--c", type=float, default=2.0, help="only for pgd: squared filter norm")
    add("--centre", action="store_true", help="only for pgd: subtract each filter's mean too")
    return options.parse_args()


def main() -> None:
    args = parse_args()
    options = {"c": args.c, "centre": args.centre} if args.to == "pgd" else {"gain": args.gain}
    centred = args.centre if args.to == "pgd" else NORMALIZATIONS[args.to].centred
    try:
        model, meta = read(args)
        if MARK in meta:
            raise AlreadyConvertedError(f"{args.checkpoint} is converted already: {meta[MARK]}")
        forward = forward_of(args.size)
        print(f"converting {args.checkpoint} to {args.to}", flush=True)
        result = convert(model, args.to, forward, keep=args.keep, **options)
        check_change(relative_change(model, result, forward), exact=not centred)
        if centred:
            print("the outputs changed because each filter's mean was subtracted; train on from here")
        write(args, result, meta, args.to, **options)
    except NormRegError as error:
        refuse(str(error))
