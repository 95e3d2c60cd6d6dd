"""Named errors of conversion and folding."""

from __future__ import annotations

from collections.abc import Mapping

from normreg_plugins.core.errors import NormRegError


class ConversionError(NormRegError):
    """Layers that cannot be converted or folded; `layers` holds a reason for each."""

    def __init__(self, doing: str, layers: Mapping[str, str]) -> None:
        self.layers = dict(layers)
        rows = "".join(f"\n  {name}: {reason}" for name, reason in self.layers.items())
        super().__init__(
            f"{doing} cannot treat {len(self.layers)} of the layers:{rows}\n"
            "Name them (or patterns) in keep=[...] to leave them as they are."
        )


class AlreadyConvertedError(NormRegError):
    """The network or checkpoint was converted before. Converting it again would change its function."""
