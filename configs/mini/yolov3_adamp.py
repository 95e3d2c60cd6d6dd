# YOLOv3 with AdamP on the drawn set, from scratch.
_base_ = [
    "../_base_/models/mini_yolov3_d53.py",
    "../_base_/datasets/mini_detection.py",
    "../_base_/schedules/mini_yolov3.py",
    "../_base_/regularizers/wd.py",
    "../_base_/runtimes/mini_detection.py",
]
optim_wrapper = dict(optimizer=dict(type="AdamP", lr=1e-3, weight_decay=5e-3))
work_dir = "work_dirs/mini/yolov3_adamp"  # configs/yolov3_adamp.py writes to work_dirs/yolov3_adamp
