# YOLOv3 on COCO 2017 with AdamP (Heo et al. 2021), with which the WRS paper compares on Tiny ImageNet only. Adam ignores
# the scale of the loss, so rate and decay need no factor of 8. The decay of an update is SGD's: 1e-4 * 5e-2 = 0.01 * 5e-4.
_base_ = "./yolov3_wd.py"

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="NormRegAdamP", lr=1e-4, weight_decay=5e-2),
    clip_grad=None,  # to Adam the size of a gradient does not matter
)
