"""ultralytics' command line, `key=value ...`, with our methods' keys among its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from normreg_plugins.cli.shared.refusal import refuse

IMPORTS = "imports="


def our_keys() -> str:
    """What --help says of the keys that ultralytics does not have."""
    from normreg_plugins.hosts.ultralytics.method_keys import keys_of, method_names

    lines = (f"  {name}: {', '.join(f'{name}.{option}' for option in keys_of(name))}" for name in method_names())
    yours = "  imports: modules that register methods of your own, such as imports=my_method"
    return "\n".join(["Our keys (the name of a method alone takes its defaults):", *lines, yours])


def parse(arguments: list[str]) -> dict[str, Any]:
    """The settings of the file that cfg= names, overridden by those of the command line."""
    from ultralytics.cfg import DEFAULT_CFG_DICT as THEIRS
    from ultralytics.cfg import MODES, TASKS, check_dict_alignment, merge_equals_args, parse_key_value_pair

    from normreg_plugins.hosts.ultralytics.method_keys import method_names

    settings: dict[str, Any] = {}
    arguments = _import_yours(merge_equals_args(arguments))
    for argument in arguments:
        if "=" in argument:
            key, value = parse_key_value_pair(argument)
            settings[key] = value
        elif argument in TASKS:
            settings["task"] = argument
        elif argument in MODES:
            if argument != "train":
                refuse(f"{argument}: this tool trains. Its checkpoints are plain: use their own `yolo {argument}`.")
        elif argument in method_names() or isinstance(THEIRS.get(argument), bool):
            settings[argument] = True
        else:  # ultralytics raises its own error, which suggests similar names
            check_dict_alignment({**THEIRS, **dict.fromkeys((*TASKS, *MODES))}, {argument: ""})
    return {**_file(settings.pop("cfg", None)), **settings}


def _import_yours(arguments: list[str]) -> list[str]:
    """Import the modules that `imports=` names, from the working directory too, and return the other arguments."""
    named = [name for each in arguments if each.startswith(IMPORTS) for name in each.removeprefix(IMPORTS).split(",")]
    if named:
        sys.path.insert(0, str(Path.cwd()))
    try:
        for name in named:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        refuse(f"{IMPORTS}{','.join(named)}: {error} (looked in {Path.cwd()} and on PYTHONPATH)")
    return [each for each in arguments if not each.startswith(IMPORTS)]


def _file(path: str | None) -> dict[str, Any]:
    from ultralytics.utils import YAML

    if path is None:
        return {}
    if not Path(path).is_file():
        refuse(f"cfg={path}: there is no such file (in {Path.cwd()})")
    return YAML.load(path)
