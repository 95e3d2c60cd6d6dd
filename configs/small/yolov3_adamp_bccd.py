# YOLOv3 with AdamP on BCCD, small, from random weights.
_base_ = "./yolov3_wd_bccd.py"

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="NormRegAdamP", lr=1e-3, weight_decay=5e-3),
    clip_grad=None,  # to Adam the size of a gradient does not matter
)
