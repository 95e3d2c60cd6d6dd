"""What damages files and settings: strategies of Hypothesis that cut, change and exaggerate."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

ODD_NUMBERS = (0, -1, 1, 2, 0.5, 1e-45, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400)
ODD_WORDS = ("", "initial", "filter", "all", "epoch", "WRS", "0.weight")
ODD = st.one_of(
    st.sampled_from([*ODD_NUMBERS, *ODD_WORDS, None, True, False, [], {}, ()]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=3), max_leaves=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
"""A value of any kind, where a certain kind is expected."""


@st.composite
def damaged(draw: st.DrawFn, files: list[bytes]) -> bytes:
    """One of these files after one to four accidents."""
    content = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        accident = draw(st.sampled_from(["cut", "byte", "byte", "byte", "length", "zeros", "twice", "front"]))
        if accident == "cut":
            del content[place:]
        elif accident == "byte" and content:
            content[place] = draw(st.integers(0, 255))
        elif accident == "length":
            content[place : place + 4] = draw(st.sampled_from([b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\0"]))
        elif accident == "zeros":
            content[place : place + 16] = bytes(16)
        elif accident == "twice":
            content[place:place] = content[place : place + 32]
        elif accident == "front":
            del content[: place % 16]
    return bytes(content)


@st.composite
def claimed_sizes(draw: st.DrawFn, png: bytes) -> bytes:
    """A PNG whose header claims another size, with a checksum that fits."""
    sides = st.sampled_from([0, 1, 7, 300, 65_535, 200_000, 2**31 - 1, 2**32 - 1])
    bits, colours = draw(st.sampled_from([1, 2, 4, 8, 16, 99])), draw(st.sampled_from([0, 2, 3, 4, 6, 9]))
    header = b"IHDR" + struct.pack(">IIBBBBB", draw(sides), draw(sides), bits, colours, 0, 0, draw(st.integers(0, 2)))
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


class Touch:
    """What an attacker would put into a pickle: unpickling it calls a function that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def attacks(marker: Path) -> list[bytes]:
    """Pickles, and checkpoints of torch in both formats, that would make the file `marker`."""
    contents = [Touch(marker), {"state_dict": Touch(marker)}, [{"pred_instances": Touch(marker), "img_id": 1}]]
    found = [pickle.dumps(each, protocol) for each in contents for protocol in (2, 4)]
    for each in contents:
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(each, file, _use_new_zipfile_serialization=zipped)
            found.append(file.getvalue())
    return found
