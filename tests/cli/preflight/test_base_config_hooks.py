"""A config that loses hooks of its base is told so, by the names of the hooks."""

from pathlib import Path

import pytest

pytest.importorskip("mmengine")

from mmengine.config import Config

from normreg_plugins.cli.preflight.base_config_hooks import lost_hook_warnings

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[3] / "configs"
YOLOX = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"
OURS = "dict(type='NormRegHook', regularizer=dict(type='WRS'))"


@pytest.fixture
def warnings_for(tmp_path):
    """The warnings for a config of this base and these hooks."""

    def warnings(base, hooks, name="config"):
        path = tmp_path / f"{name}.py"
        path.write_text(f"_base_ = {base!r}\n" + (f"custom_hooks = {hooks}\n" if hooks else ""))
        return lost_hook_warnings(Config.fromfile(path, import_custom_modules=False), str(path))

    return warnings


def test_mms_own_hooks_that_a_list_replaces_are_named(warnings_for):
    (warning,) = warnings_for(YOLOX, f"[{OURS}]")
    assert "yolox_tiny_8xb8-300e_coco.py has YOLOXModeSwitchHook, SyncNormHook, EMAHook in custom_hooks" in warning
    assert "custom_hooks = [*_base_.custom_hooks, ...]" in warning


def test_a_list_that_keeps_them_is_right(warnings_for):
    assert warnings_for(YOLOX, f"[*_base_.custom_hooks, {OURS}]") == []
    assert warnings_for(YOLOX, None) == []


def test_our_ema_hook_takes_the_place_of_mms(warnings_for):
    ema = "dict(type='NormRegEMAHook', momentum=0.1)"
    kept = f"[*[h for h in _base_.custom_hooks if h['type'] != 'EMAHook'], {ema}]"
    assert warnings_for(YOLOX, kept) == []


@pytest.mark.parametrize(
    ("base", "hook"),
    [("yolov3_pgd", "NormRegLinearNoiseHook, NormRegZeroScaleHook")],
)
def test_our_own_hooks_are_named_once_through_a_chain_of_bases(warnings_for, base, hook):
    config = str(CONFIGS / f"{base}.py")
    between = warnings_for(config, None, name="between")
    (warning,) = warnings_for("./between.py", f"[{OURS}]")
    assert between == []
    assert f"has {hook} in custom_hooks" in warning


def test_no_config_of_ours_loses_a_hook():
    for path in [*CONFIGS.glob("*.py"), *CONFIGS.glob("mini/*.py"), *CONFIGS.glob("classification/*.py")]:
        assert lost_hook_warnings(Config.fromfile(path, import_custom_modules=False), str(path)) == [], path
