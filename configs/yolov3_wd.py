# YOLOv3 on COCO 2017 with weight decay: the baseline, in the protocol of the WRS paper (section VI-C). That is 100
# epochs of SGD with momentum, learning rate 0.01 on a cosine, weight decay 5e-4, batch 8, and mAP@0.5.
#
# Rate and decay. The paper's numbers are for a loss averaged over images. mmdet's YOLOv3 sums its loss over the 8
# images of a GPU, so its gradient is 8 times as large. Without clipping, SGD on 8 L with (lr / 8, 8 * wd) takes the same
# steps as SGD on L with (lr, wd). Hence 0.01 / 8 and 8 * 5e-4. mmdet's own rate for this loss is 0.001, close to 0.00125.
# The sum changes with the images of a GPU. tools/train.py sees to that: --split-batch and --grow-batch multiply the loss.
#
# Clipping. The paper names none; 35 is mmdet's. On the drawn set it acts in all 250 updates (norms of 399 to 4,902), and
# without it the loss is NaN at the tenth, so it stays. A clipped gradient has the length 35 whatever the loss is
# multiplied by. So 0.01 / 8 is a start and no translation of the paper's rate: try one or two others, for each method:
#   python tools/train.py configs/yolov3_wd.py --cfg-options optim_wrapper.optimizer.lr=0.001
#
# Batch 8. The paper's numbers match a code base of its time that adds up 8 batches of 8 images before each update. To
# train in that way: --cfg-options optim_wrapper.accumulative_counts=8 auto_scale_lr.base_batch_size=64 (rate and decay
# stay, because mm averages over the 8 batches). An epoch then has 1,832 updates, not 14,658, and intervals and phases
# count these.
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
    regularizer=dict(type="WD"),  # decays what the paper's baseline decays
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
# All numbers are written for this many images in an update and in an iteration. For several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=8, written_for=8)
