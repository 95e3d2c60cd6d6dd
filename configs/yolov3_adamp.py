# YOLOv3 on COCO 2017 with AdamP (Heo et al. 2021), the WRS paper's other baseline, from timm. That
# paper uses it for classification only. Adam does not see how a loss is scaled, so nothing is
# carried over from SGD but the decay per update: 1e-4 * 5e-2 = 0.01 * 5e-4.
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2017_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/regularizers/wd.py",
    "_base_/runtimes/detection.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamP", lr=1e-4, weight_decay=5e-2))
auto_scale_lr = dict(enable=False, base_batch_size=8)
