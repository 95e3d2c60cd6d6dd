"""The GPU kernel of `one_launch`. It needs Triton, which comes with torch's builds for CUDA and ROCm."""

import triton
import triton.language as tl


@triton.jit
def scale_each_filter(  # type: ignore[no-untyped-def]  # Triton reads annotations, and knows constexpr only
    addresses,
    lengths,
    amounts,
    sizes,
    factors,
    acts,
    DTYPE: tl.constexpr,
    WIDE: tl.constexpr,
    SMALLEST: tl.constexpr,
    LARGEST: tl.constexpr,
    CENTER: tl.constexpr,
    STD: tl.constexpr,
    SHRINK: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program measures one filter and scales it: from its address on, `lengths` entries in a row."""
    which = tl.program_id(0)
    weight = tl.load(addresses + which).to(tl.pointer_type(DTYPE))
    length = tl.load(lengths + which)
    at = tl.arange(0, BLOCK)
    mean = tl.zeros((1,), WIDE)
    if CENTER or STD:
        total = tl.zeros((BLOCK,), WIDE)
        for first in range(0, length, BLOCK):
            total += tl.load(weight + first + at, mask=first + at < length, other=0.0).to(WIDE)
        mean += tl.sum(total, axis=0) / length
    squares = tl.zeros((BLOCK,), WIDE)
    for first in range(0, length, BLOCK):
        entries = tl.load(weight + first + at, mask=first + at < length, other=0.0).to(WIDE) - mean
        squares += tl.where(first + at < length, entries * entries, 0.0)
    size = tl.sqrt(tl.sum(squares, axis=0))
    amount = tl.load(amounts + which)
    if STD:
        size = size / tl.sqrt(length.to(WIDE))
    if SHRINK:
        factor = tl.maximum(1.0 - amount * tl.where(size <= LARGEST, size, 0.0), 0.0)
    else:
        factor = tl.where((size > SMALLEST) & (size <= LARGEST), amount / size, 1.0)
    shift = tl.zeros((1,), WIDE)
    if CENTER:
        shift += mean
    if tl.load(acts) == 0:
        shift = tl.zeros((1,), WIDE)
        factor = factor * 0.0 + 1.0
    tl.store(sizes + which, size)
    tl.store(factors + which, factor)
    for first in range(0, length, BLOCK):
        entries = tl.load(weight + first + at, mask=first + at < length, other=0.0).to(WIDE)
        tl.store(weight + first + at, ((entries - shift) * factor).to(DTYPE), mask=first + at < length)
