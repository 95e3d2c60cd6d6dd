# YOLOv3 with AdamP on the drawn set, from random weights.
_base_ = "./yolov3_wd.py"

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="NormRegAdamP", lr=1e-3, weight_decay=5e-3),
    clip_grad=None,  # to Adam the size of a gradient does not matter
)
work_dir = "work_dirs/mini/yolov3_adamp"  # configs/yolov3_adamp.py writes to work_dirs/yolov3_adamp
