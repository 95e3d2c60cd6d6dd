"""Methods in every host: built from a name and options, saved with a run, and checked when a run is resumed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import AdaptiveWeightShrink, Method, SphereDescent, WeightDecay, WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods import CorrectedDecay, Hyperball
from normreg_plugins.core.training import STATE_KEY

METHODS: dict[str, type[Method]] = {
    "WD": WeightDecay,
    "WRS": WeightRescaling,
    "AWS": AdaptiveWeightShrink,
    "PGD": SphereDescent,
    "CorrectedDecay": CorrectedDecay,
    "Hyperball": Hyperball,
}
RESERVED = frozenset({"type", "method"})
"""Names that hosts use beside a method's options."""


class MethodKeyError(NormRegError):
    """Keys that do not describe one method, or a method whose name is a key of the host."""


class ResumeError(NormRegError):
    """A checkpoint of a run with another method, or with other settings."""


def register_method(name: str, method: type[Method]) -> None:
    """Register a method for all hosts. Its name is not case sensitive.

    If the same class is defined again, as when a notebook's cell runs twice, it replaces the earlier one.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise NormRegError(f"name={name!r}: must be a word of letters, digits and _, because it is used in keys")
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise NormRegError(f"method={method!r}: must be a subclass of normreg_plugins.Method, not an object of one")
    if "__dataclass_fields__" not in vars(method):
        raise NormRegError(f"{method.__name__} must be a dataclass: write @dataclass(frozen=True, repr=False) above it")
    if clashes := RESERVED & {field.name for field in fields(method)}:
        raise NormRegError(f"{method.__name__} has an option {min(clashes)!r}, which hosts use themselves: rename it")
    taken = {known.lower(): known for known in METHODS}.get(name.lower())
    if taken is not None and _identity(METHODS[taken]) != _identity(method):
        raise NormRegError(f"a method named {taken!r} exists already: choose another name than {name!r}")
    METHODS[taken or name] = method


def _identity(method: type[Method]) -> tuple[str, str]:
    return method.__module__, method.__qualname__


def options_of(name: str) -> list[str]:
    """The options of the method of this name."""
    return [field.name for field in fields(METHODS[name])]


def build_method(name: str, options: Mapping[str, Any]) -> Method:
    """The method of this name with these options."""
    if not isinstance(name, str) or name not in METHODS:
        raise NormRegError(
            f"method {name!r} is unknown{_near(name, METHODS)}: use one of {', '.join(METHODS)}, or import the module "
            "that registers it"
        )
    known = options_of(name)
    for option in options:
        if option not in known:
            raise NormRegError(f"{name} has no option {option!r}{_near(option, known)}; it has {', '.join(known)}")
    return METHODS[name](**options)


def _near(name: object, known: Iterable[str]) -> str:
    """The known name that is near a wrong one, in any case."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(name).lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""


def build_regularizer(config: Mapping[str, Any] | None) -> Method:
    """The method of an mm config: `regularizer=dict(type="WRS", interval=10)`."""
    if not isinstance(config, Mapping) or "type" not in config:
        raise NormRegError(f"regularizer={config!r}: must be a dict with a type, such as dict(type='WRS', interval=10)")
    options = dict(config)
    name = options.pop("type")
    try:
        return build_method(name, options)
    except NormRegError as error:
        foreign = set(options).difference(options_of(name)) if name in METHODS else set()
        if not any(foreign.intersection(options_of(other)) for other in METHODS):
            raise
        replaced = f"regularizer=dict(_delete_=True, type={name!r}, ...)"
        raise NormRegError(f"{error}. If the config inherits those of another method: {replaced}") from error


def key_names(taken: Collection[str] = ()) -> dict[str, str]:
    """The name of each method by its name in keys, such as 'wrs'. None may be one of the host's own keys (`taken`)."""
    names = {name.lower(): name for name in METHODS}
    for clash in names.keys() & set(taken):
        raise MethodKeyError(f"{names[clash]} cannot be a method's name here: the host has a key {clash!r}")
    return names


def take_method(settings: dict[str, Any], taken: Collection[str] = ()) -> Method | None:
    """Remove a method's keys from `settings` and return the method they describe, or None if there are none.

    `wrs.interval=10` on a command line, `wrs: {interval: 10}` in YAML. Later keys override earlier ones.
    """
    names = key_names(taken)
    found: dict[str, dict[str, Any]] = {}
    for key in list(settings):
        name, dot, option = key.partition(".")
        if name in names:
            value = settings.pop(key)
            found.setdefault(name, {}).update({option: value} if dot else _as_options(name, value))
    if len(found) > 1:
        raise MethodKeyError(f"{' and '.join(found)}: use one method per run")
    for name, options in found.items():
        return build_method(names[name], options)
    return None


def _as_options(name: str, value: Any) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    if isinstance(value, dict):
        return value
    raise MethodKeyError(f"{name}={value!r}: write {name}.OPTION=VALUE, or {name} alone for its defaults")


def guard_resume(optimizer: Optimizer, method: Method, new_run: str) -> None:
    """Save the method's settings with the optimizer's state, and refuse to load a state with other settings.

    Args:
        new_run: how to begin a new run from a checkpoint instead, in the words of the host.
    """
    settings = {"method": type(method).__name__, **asdict(method)}
    optimizer.register_state_dict_post_hook(lambda _, state: state.update({STATE_KEY: dict(settings)}))

    def check(_: Optimizer, state: dict[str, Any]) -> None:
        if problem := _difference(state, settings):
            raise ResumeError(f"{problem}. Resume with the method it began with, or begin a new run: {new_run}")

    optimizer.register_load_state_dict_pre_hook(check)


def _difference(state: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """How a saved state differs from this run; None if it can be resumed."""
    saved = state.get(STATE_KEY)
    if saved is None and state["state"]:
        return f"the checkpoint was trained without a method, this run has {settings['method']}"
    saved = saved or {}
    if changed := [key for key in settings if key in saved and _plain(saved[key]) != _plain(settings[key])]:
        theirs, ours = {key: saved[key] for key in changed}, {key: settings[key] for key in changed}
        return f"the checkpoint was trained with {theirs}, this run has {ours}"
    return None


def _plain(value: Any) -> Any:
    """A list instead of a tuple: a checkpoint may have either."""
    return list(value) if isinstance(value, tuple) else value
