"""When a method acts, and what must follow: attach, the handle, its state, weight decay, averages."""

from normreg_plugins.core.old_torch import keep_step_hooks
from normreg_plugins.core.training.attach import attach, refuse_unsound
from normreg_plugins.core.training.averages import correct_average_, match_norms_, measuring_statistics, takes_means
from normreg_plugins.core.training.handle import Handle, handle_of
from normreg_plugins.core.training.state import STATE_KEY
from normreg_plugins.core.training.steps import PerEpoch, closure_of, is_nested, is_update
from normreg_plugins.core.training.weight_decay import named_by
