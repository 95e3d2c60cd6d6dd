"""Build an optimizer with a method on it: two lines in any mm config.

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
"""

from __future__ import annotations

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from normreg_plugins.core.errors import AttachError
from normreg_plugins.hosts.methods import build_regularizer
from normreg_plugins.hosts.mmengine.method_hook import SEVERAL_OPTIMIZERS, attach_to


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class NormRegOptimWrapperConstructor:
    """Lets another constructor build the optimizer wrapper, then attaches the method that `regularizer` names.

    Its weights are chosen by structure when the optimizer is built. The first training forward confirms them before
    anything is updated. The method's `decay_on` says which parameters have weight decay. All else is as in the config.

    Args in `optim_wrapper`:
        regularizer: dict(type='WRS', ...), a method by its name ('WD', 'WRS', 'AWS', 'PGD', ...) with its options.
        base_constructor: the constructor that builds the wrapper. The default is mmengine's own, with every
            paramwise_cfg feature; a layer decay constructor is another example.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        config = dict(optim_wrapper_cfg)
        self._method = build_regularizer(config.pop("regularizer", None))
        base = config.pop("base_constructor", "DefaultOptimWrapperConstructor")
        self._base = OPTIM_WRAPPER_CONSTRUCTORS.build(
            {"type": base, "optim_wrapper_cfg": config, "paramwise_cfg": paramwise_cfg}
        )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        wrapper = self._base(model)
        if isinstance(wrapper, OptimWrapperDict):
            raise AttachError(SEVERAL_OPTIMIZERS)
        attach_to(wrapper, model, self._method)
        return wrapper
