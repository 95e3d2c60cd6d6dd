"""`--method WRS interval=20`: a method for any mm config, without editing it."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, Registry

from normreg_plugins.cli.console import say
from normreg_plugins.cli.preflight.check import mappings_in, method_of
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.methods import build_regularizer

CONSTRUCTOR = "NormRegOptimWrapperConstructor"
MADE_FOR = {
    "AWS": ("conv_cfg", "NormRegWSConv2d", "layers that normalize their own weight"),
    "PGD": ("norm_cfg", "NormRegScaleBias", "scale-bias layers instead of norm layers"),
}
"""The layers that a method is made for: their key and type in a config, and what they are."""


class MethodAction(DictAction):
    """Turns `WRS interval=20` into dict(type="WRS", interval=20)."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        name, *options = list(values or ())
        if wrong := [option for option in options if "=" not in option]:
            parser.error(f"--method {name}: {wrong[0]!r} must be OPTION=VALUE, such as interval=20")
        setattr(namespace, self.dest, {"type": name})
        super().__call__(parser, namespace, options, option_string)


def add_method_flag(parser: argparse.ArgumentParser) -> None:
    says = "the method to train with, such as WRS interval=20, instead of the config's own; none for no method"
    parser.add_argument("--method", nargs="+", action=MethodAction, metavar=("NAME", "OPTION=VALUE"), help=says)


def use_method(cfg: Config, method: dict[str, Any] | None) -> None:
    """Let the config train with the method of the flag, if there is one, and say which layers a method lacks."""
    if method is not None:
        set_method(cfg, method)
    if lacks := missing_layers(cfg):
        say(lacks)


def set_method(cfg: Config, method: dict[str, Any]) -> None:
    """Replace the config's method by this one; the type 'none' removes it."""
    wrapper = cfg.get("optim_wrapper")
    if wrapper is None:
        raise NormRegError("--method: the config has no optim_wrapper")
    _remove_method(cfg, wrapper)
    if method["type"] == "none":
        if len(method) > 1:
            raise NormRegError(f"--method none: it takes no options, such as {[*method][1]}")
        return
    build_regularizer(method)  # unknown names and options end here
    if "constructor" in wrapper:
        wrapper.base_constructor = wrapper.constructor
    wrapper.update(constructor=CONSTRUCTOR, regularizer=method)
    imports = dict(cfg.get("custom_imports") or {})  # for whoever trains with the saved config
    named = imports.get("imports", [])
    imports["imports"] = [*dict.fromkeys((*([named] if isinstance(named, str) else named), "normreg_plugins"))]
    cfg.custom_imports = imports


def _remove_method(cfg: Config, wrapper: dict[str, Any]) -> None:
    wrapper.pop("regularizer", None)
    if wrapper.get("constructor") == CONSTRUCTOR:
        del wrapper["constructor"]
        if base := wrapper.pop("base_constructor", None):
            wrapper["constructor"] = base
    if hooks := cfg.get("custom_hooks"):
        cfg.custom_hooks = [hook for hook in hooks if "regularizer" not in hook]


def missing_layers(cfg: Config) -> str | None:
    """What to add to a config whose method is made for layers that it does not have; None if there is nothing."""
    name = (method_of(cfg) or {}).get("type")
    if name not in MADE_FOR:
        return None
    key, layer, made_for = MADE_FOR[name]
    types = [str((part.get(key) or {}).get("type")) for _, part in mappings_in(cfg.model, "model")]
    if any(each.startswith(("NormReg", "ConvWS")) for each in types):
        return None
    with MODELS.switch_scope_and_registry(cfg.get("default_scope")) as models:
        options = " ".join(_options(cfg.model, key, layer, models))
    return (
        f"{name} is made for {made_for}. This config has none, so it acts on the plain layers in front of norm layers. "
        f"For its own layers add --cfg-options {options}; docs/layers.md has the rest."
    )


def _options(model: Any, key: str, layer: str, models: Registry) -> Iterator[str]:
    """The options that give these layers to each part of a model that has norm layers and can have them."""
    for place, part in mappings_in(model, "model"):
        settings = {**_defaults(part.get("type"), models), **part}
        if key in settings and settings.get("norm_cfg"):
            if key in part:
                yield f"{place}.{key}._delete_=True"
            yield f"{place}.{key}.type={layer}"


def _defaults(kind: str | type | None, models: Registry) -> dict[str, Any]:
    """The defaults of the arguments that a registered class and its bases take."""
    built = models.get(kind) if isinstance(kind, str) else kind
    inits = [vars(base).get("__init__") for base in (built.__mro__ if isinstance(built, type) else ())]
    found: dict[str, Any] = {}
    for init in filter(inspect.isfunction, reversed(inits)):
        found |= {name: each.default for name, each in inspect.signature(init).parameters.items()}
    return found
