# YOLOv3 on COCO 2017 with weight decay: the baseline, in the protocol of the WRS paper (section VI-C): 100 epochs of
# SGD with momentum from 0.01 on a cosine, weight decay 5e-4, batch 8, mAP@0.5.
#
# mmdet sums the loss of YOLOv3 over the 8 images of a GPU, so the rate is 0.01 / 8 and the decay 8 * 5e-4. Gradients
# are clipped at 35, mmdet's value (in our short runs in every update), so this rate is a starting point: try others,
# for each method. With accumulation of 8 batches: --cfg-options optim_wrapper.accumulative_counts=8
# auto_scale_lr.base_batch_size=64. See docs/protocols.md
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2017_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/runtimes/detection.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)
