# DeepLabv3 with weight decay on the drawn set of `normreg make-mini-data segmentation`, from random
# weights.
_base_ = [
    "../_base_/models/mini_deeplabv3_r101.py",
    "../_base_/datasets/mini_segmentation.py",
    "../_base_/schedules/mini_segmentation.py",
    "../_base_/runtimes/mini_segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=2e-4),
)
work_dir = "work_dirs/mini/deeplabv3_wd"  # configs/deeplabv3_wd.py writes to work_dirs/deeplabv3_wd
