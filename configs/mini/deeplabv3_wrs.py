# DeepLabv3 with weight rescaling (WRS) on the drawn set, from random weights.
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
work_dir = "work_dirs/mini/deeplabv3_wrs"  # configs/deeplabv3_wrs.py writes to work_dirs/deeplabv3_wrs
