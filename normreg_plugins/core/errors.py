"""Named errors. Each message carries the offending value and the way out."""


class NormRegError(ValueError):
    """Anything this package refuses to do."""


class SelectionError(NormRegError):
    """A selection that names nothing, or a weight that cannot be taken."""


class StructureMismatchError(NormRegError):
    """The first real forward contradicts what the structure of the model promised."""


class AttachError(NormRegError):
    """An optimizer or model that a method cannot be attached to."""


class ProofError(NormRegError):
    """A forward that cannot serve as a numeric proof."""


class NonFiniteWeightWarning(RuntimeWarning):
    """A filter contains NaN or Inf; it is left as it is."""


class TrainingLoopWarning(UserWarning):
    """The training loop keeps a method from acting as it was meant to."""


class PluginLostWarning(UserWarning):
    """An optimizer carries our update count but not our hooks: it is a copy."""


class UnconfirmedWarning(UserWarning):
    """What was found by structure alone is incomplete or could not be confirmed."""
