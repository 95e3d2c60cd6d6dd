"""Every kind of ultralytics model: verdicts against numbers, and a few real training steps under WRS."""

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, filter_norms, load_yaml, make_set
from ultralytics import RTDETR, YOLO

from normreg_plugins import WeightRescaling, prove_scale_invariant
from normreg_plugins.hosts.ultralytics import with_method

pytestmark = pytest.mark.ultralytics

# A transposed convolution and a convolution, with nothing but a bias between them and a norm behind: numbers see that
# the whole of the first may be scaled with its bias; the trace stops at the second.
LINEAR_CHAIN = {"model.22.proto.upsample.weight": ("free", "per_layer")}

MODELS = {
    "yolov3": ("detect", 84, {}),
    "yolo26n": ("detect", 114, {}),
    "rtdetr-l": ("detect", 122, {}),
    "yolov8n-seg": ("segment", 66, LINEAR_CHAIN),
    "yolov8n-pose": ("pose", 63, {}),
    "yolov8n-obb": ("obb", 63, {}),
    "yolov8n-cls": ("classify", 26, {}),
}
"""Task, targets and exceptions."""


def numeric_truth(trainer):
    """Proven before training: a weight that begins at zero is nearly invisible after a few steps."""

    def training_forward(net):
        """All that the loss reads, for an assigner may leave a whole level of anchors out of it."""
        trainer._model_train()
        samples = [trainer.test_loader.dataset[i] for i in (0, 1)]
        batch = trainer.preprocess_batch(trainer.test_loader.collate_fn(samples))
        outputs = None if "rtdetr" in trainer.args.model else net(batch["img"])
        return outputs, net.loss(batch, outputs)

    return prove_scale_invariant(trainer.model, training_forward)


@pytest.mark.parametrize("name", MODELS)
def test_verdicts_agree_with_numbers_and_a_few_steps_train(name, tmp_path):
    task, count, exceptions = MODELS[name]
    model = (RTDETR if name.startswith("rtdetr") else YOLO)(load_yaml(name, tmp_path))
    proven = []
    model.add_callback("on_pretrain_routine_end", lambda trainer: proven.extend(numeric_truth(trainer)))
    data = make_set(tmp_path / "set", task)
    trainer = with_method(model, WeightRescaling(interval=2))
    model.train(trainer=trainer, data=str(data), project=str(tmp_path), **OFFLINE | {"epochs": 1})

    handle = model.trainer.handle
    verdicts = {verdict.name: verdict for verdict in handle.verdicts}
    assert [truth.name for truth in proven] == [*verdicts]
    for truth in proven:
        found = verdicts[truth.name]
        assert (found.kind, truth.kind) == exceptions.get(found.name, (truth.kind, truth.kind)), found
        assert set(found.norms) == set(truth.norms) or found.name in exceptions

    assert (handle.updates, len(handle.targets)) == (2, count)
    norms = filter_norms(model.trainer.model)
    for target in handle.targets:
        assert torch.allclose(norms[target], torch.ones(()), atol=1e-5), target
    assert not any(torch.allclose(norms[free], torch.ones(()), atol=1e-2) for free in handle.left_alone)
    picture = next((tmp_path / "set").rglob("val/**/*.png"))
    assert len(model.predict(picture, imgsz=64, verbose=False)) == 1
