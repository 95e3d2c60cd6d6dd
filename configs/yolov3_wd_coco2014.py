# yolov3_wd.py on the paper's own split of COCO 2014, made by tools/data/prepare_coco2014.py.
_base_ = [
    "_base_/models/yolov3_d53.py",
    "_base_/datasets/coco2014_yolov3.py",
    "_base_/schedules/cosine_100e.py",
    "_base_/regularizers/wd.py",
    "_base_/runtimes/detection.py",
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.01 / 8, momentum=0.9, weight_decay=8 * 5e-4),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
