"""When a method acts, and what must follow: attach, the handle, confirmation, update count, weight decay, averages."""

from normreg_plugins.core.training.attach import attach, refuse_unsound
from normreg_plugins.core.training.averages import correct_average_, match_norms_, measuring_statistics, takes_means
from normreg_plugins.core.training.compiled_steps import keep_step_hooks
from normreg_plugins.core.training.handle import Handle, handle_of
from normreg_plugins.core.training.phase import PerEpoch
from normreg_plugins.core.training.saved_entry import STATE_KEY
from normreg_plugins.core.training.skipped_steps import closure_of, moves_nothing, skip_flag
from normreg_plugins.core.training.weight_decay import named_by

__all__ = [
    "STATE_KEY",
    "Handle",
    "PerEpoch",
    "attach",
    "closure_of",
    "correct_average_",
    "handle_of",
    "keep_step_hooks",
    "match_norms_",
    "measuring_statistics",
    "moves_nothing",
    "named_by",
    "refuse_unsound",
    "skip_flag",
    "takes_means",
]
