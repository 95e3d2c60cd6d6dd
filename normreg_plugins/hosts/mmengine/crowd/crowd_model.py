"""The crowd counter as a model of mmengine, CSRNet and a loss built from configs; and the metric of its counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import METRICS, MODELS
from torch import Tensor, nn

from normreg_plugins.crowd import BayesianLoss, CSRNet, named_as_csrnet
from normreg_plugins.evaluation.counting import count_errors, save_counts, save_map
from normreg_plugins.hosts.mmengine.crowd.crowd_data import CrowdSample

Config = dict[str, Any]

MODELS.register_module(name="BayesianLoss", module=BayesianLoss)


@MODELS.register_module(name="CSRNet")
def build_csrnet(
    norm_cfg: Config | None = None, conv_cfg: Config | None = None, output: str = "abs", width: float = 1.0
) -> CSRNet:
    """CSRNet from mm configs: `norm_cfg=dict(type='BN')`, or None for the original without norm layers."""
    from mmcv.cnn import build_conv_layer, build_norm_layer  # here, because importing this module must not need mmcv

    def norm(width: int) -> nn.Module:
        return build_norm_layer(norm_cfg, width)[1]

    return CSRNet(None if norm_cfg is None else norm, partial(build_conv_layer, conv_cfg), output, width)


@MODELS.register_module()
class CrowdCounter(BaseModel):
    """Predicts a density map for each image. The sum of the map is the count.

    Args:
        backbone: config of the network that predicts the map, a CSRNet.
        loss: config of a loss on maps and points.
        data_preprocessor: config of the module that normalizes the images and stacks them to a batch.
        init_cfg: what training begins from: dict(type='NormRegPretrained', checkpoint='torchvision://vgg16_bn') for
            the front, vgg16 for one without norm layers, or a checkpoint of the model.
    """

    def __init__(
        self,
        backbone: Config,
        loss: Config,
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.density_loss = MODELS.build(loss)

    def rename_pretrained(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Called by NormRegPretrained: torchvision's VGG16 under the names of this model."""
        front = named_as_csrnet(state)
        return {f"backbone.{name}": value for name, value in front.items()} or state

    def forward(
        self, inputs: Tensor, data_samples: list[CrowdSample] | None = None, mode: str = "tensor"
    ) -> Tensor | dict[str, Tensor] | list[CrowdSample]:
        """The map [B, 1, H, W] ('tensor'), the losses ('loss'), or the samples with their maps ('predict')."""
        if mode == "tensor":
            return self.backbone(inputs)
        samples = data_samples or []
        return self.losses(inputs, samples) if mode == "loss" else self.predict(inputs, samples)

    def losses(self, images: Tensor, samples: list[CrowdSample]) -> dict[str, Tensor]:
        density = self.backbone(images)
        targets = [sample.targets for sample in samples]
        points, sides = zip(*((sample.points, sample.shorter_side) for sample in samples))
        loss = self.density_loss(density, points, targets, sides)
        counts = torch.stack([target.sum() for target in targets])
        errors = density.detach().sum((1, 2, 3)) - counts.to(density)
        return {"loss": loss, "mae": errors.abs().mean()}

    @torch.no_grad()
    def predict(self, images: Tensor, samples: list[CrowdSample]) -> list[CrowdSample]:
        """Predict each image by itself, without the padding that brings a batch to one size."""
        for image, sample in zip(images, samples, strict=True):
            height, width = sample.img_shape
            density = self.backbone(image[None, :, :height, :width])[0, 0]
            sample.density = density.float()
            sample.predicted_count = density.double().sum().item()
        return samples


@METRICS.register_module()
class CountMetric(BaseMetric):
    """Computes `count/MAE`, `count/RMSE` and `count/NAE`. Crowd papers call the second, which is a root, 'MSE'.

    Args:
        out_dir: folder for the count and the density map of each image, for tools/eval_mae.py.
        kwargs: those of mmengine's BaseMetric.
    """

    default_prefix = "count"

    def __init__(self, out_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        for sample in data_samples:
            self.results.append((sample["name"], sample["predicted_count"], sample["count"]))
            if self.out_dir is not None:
                save_map(self.out_dir, sample["name"], sample["density"].cpu().numpy())

    def compute_metrics(self, results: list[tuple[str, float, int]]) -> dict[str, float]:
        names, predicted, true = zip(*results, strict=True)
        errors = count_errors(predicted, true)
        if self.out_dir is not None:
            save_counts(self.out_dir, dict(zip(names, predicted, strict=True)))
        print_log(f"{errors.images} images: {errors}", logger="current")
        return {"MAE": errors.mae, "RMSE": errors.rmse, "NAE": errors.nae}
