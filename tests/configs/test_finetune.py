"""Fine-tuning: each config trains from a checkpoint, and each method keeps its function or says that it does not."""

import os
from pathlib import Path

import pytest
from helpers.processes import on_ranks

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from helpers import finetune_runs as small

pytestmark = [pytest.mark.mm, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn data and checkpoints, in the working directory."""
    folder, before = tmp_path_factory.mktemp("finetune"), Path.cwd()
    os.chdir(folder)
    try:
        small.draw_data(folder)
        for baseline in ("yolov3_wd_coco", "deeplabv3_wd_voc", "csrnet_wd_qnrf"):
            task = baseline.split("_")[0]
            small.publish(folder / f"{task}.pth", baseline, small.CLASSES[task])
        yield folder
    finally:
        os.chdir(before)


def test_there_is_a_config_for_every_task_and_method():
    tasks = ("yolov3_{}_coco", "yolov3_{}_voc", "deeplabv3_{}_voc", "csrnet_{}_qnrf")
    methods = ("wd", "wrs", "wrs_initial", "aws", "pgd")
    assert sorted(task.format(method) for task in tasks for method in methods) == small.NAMES


TARGETS = {"yolov3": 36, "deeplabv3": 29, "csrnet": 16}


def assert_trained(name, found):
    assert (found["updates"], found["targets"]) == (2, TARGETS[name.split("_")[0]])
    assert all(weight.isfinite().all() for weight in found["weights"].values())


NOT_PROBED = [name for name in small.NAMES if "_wd_" in name or ("yolov3" in name and name.endswith("_voc"))]
"""Below, the others train on one rank, where their function is measured."""


@pytest.mark.parametrize("name", NOT_PROBED)
def test_it_trains_and_a_baseline_is_validated(folder, name):
    assert_trained(name, small.finetune(name, folder))


def test_each_trains_on_two_ranks(folder):
    for name, first, second in zip(small.NAMES, *on_ranks(small.finetune_all, folder, 2, small.NAMES)):
        assert_trained(name, first)
        assert all(weight.equal(second["weights"][n]) for n, weight in first["weights"].items())


FIRST = {"optim_wrapper.regularizer.interval": 1}
"""So that WRS acts in the first update."""
DECAYED = {"optim_wrapper.regularizer": {"type": "CorrectedDecay", "weight_decay": 5e-5}}
"""At rate 0.1 its first step is that of rate 1e-3, decay 5e-4 and momentum 0.9; running statistics do not follow it."""
KEPT = {
    "WRS": ("wrs", FIRST),
    "WRS, own norms": ("wrs_initial", FIRST),
    "AWS": ("aws", {"optim_wrapper.regularizer.alpha": 1.0}),
    "PGD": ("pgd", {}),
    "corrected decay": ("wd", DECAYED),
    "Hyperball": ("wd", {"optim_wrapper.regularizer.type": "Hyperball"}),
}
CENTRED = {"optim_wrapper.regularizer.center": True}
BY_METHOD, BY_INITIALIZER = "changes what the network computes", "except for centring: it removes"
BY_LOADING = "The network does not compute what the checkpoint's does"
CHANGED = {
    "WRS(IC)": ("wrs", FIRST | {"optim_wrapper.regularizer.per": "position"}, BY_METHOD),
    "PGD, centred by the method": ("pgd", CENTRED, BY_METHOD),
    "PGD, centred by the initializer": ("pgd", CENTRED | {"model.init_cfg.center": True}, BY_INITIALIZER),
}
BASELINES = {"yolov3": "yolov3_wd_coco", "deeplabv3": "deeplabv3_wd_voc", "csrnet": "csrnet_wd_qnrf"}


@pytest.fixture(scope="module")
def published(folder):
    """For each task a file with all classes of its data, and what its network computes."""
    nets = {task: small.publish(folder / f"published {task}.pth", name) for task, name in BASELINES.items()}
    return {task: (folder / f"published {task}.pth", small.outputs(net)) for task, net in nets.items()}


def probe(folder, published, task, method, options):
    """The change of the outputs when the weights are loaded and after an update without gradients, and the log."""
    file, expected = published[task]
    cfg = small.small_config(BASELINES[task].replace("_wd_", f"_{method}_"))
    small.start_from(cfg, file)
    cfg.merge_from_dict({**options, "optim_wrapper.optimizer.lr": 0.1, "optim_wrapper.optimizer.weight_decay": 0.0})
    cfg.param_scheduler = []
    work = folder / f"probe {task} {method} {len(list(folder.iterdir()))}"
    runner = small.run(cfg, work, [{"type": "FunctionProbe"}])
    found = next(hook for hook in runner.hooks if isinstance(hook, small.FunctionProbe))
    log = next(work.rglob("*.log")).read_text()
    return small.change(expected, found.loaded), small.change(expected, found.acted), log


@pytest.mark.parametrize("method", KEPT)
@pytest.mark.parametrize("task", BASELINES)
def test_the_function_is_kept_when_weights_are_loaded_and_when_the_method_first_acts(folder, published, task, method):
    loaded, acted, log = probe(folder, published, task, *KEPT[method])
    assert max(loaded, acted) < 1e-4
    assert not [text for text in (BY_METHOD, BY_INITIALIZER, BY_LOADING) if text in log]


COPIED = {
    "yolov3": ("pgd", "36 layers, such as backbone.conv1.bn, took"),
    "deeplabv3": ("aws", "29 layers, such as backbone.stem.0, took"),
}


@pytest.mark.parametrize("task", COPIED)
def test_load_from_into_other_layers_says_by_how_much_their_outputs_change(folder, published, task):
    """It only copies values, unlike NormRegPretrained."""
    file, expected = published[task]
    method, said = COPIED[task]
    other = {"conv_cfg": {"type": "NormRegWSConv2d"}} if method == "aws" else {}
    cfg = small.small_config(BASELINES[task].replace("_wd_", f"_{method}_"))
    cfg.load_from, cfg.model.init_cfg = str(file), None
    for part in ("backbone", "decode_head", "auxiliary_head"):
        cfg.model.get(part, {}).update(other)
    runner = small.run(cfg, folder / f"copied {task}", [{"type": "FunctionProbe"}])
    found = next(hook for hook in runner.hooks if isinstance(hook, small.FunctionProbe))
    assert small.change(expected, found.loaded) > 0.1
    (log,) = (folder / f"copied {task}").rglob("*.log")
    assert said in log.read_text()


@pytest.mark.parametrize(("task", "case"), [*zip(BASELINES, CHANGED)])
def test_a_change_of_the_function_is_in_the_log(folder, published, task, case):
    method, options, said = CHANGED[case]
    loaded, acted, log = probe(folder, published, task, method, options)
    assert acted > 1e-3
    assert (loaded > 1e-3) == (said == BY_INITIALIZER)
    assert [text for text in (BY_METHOD, BY_INITIALIZER) if text in log] == [said]
