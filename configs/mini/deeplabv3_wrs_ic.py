# DeepLabv3 with WRS(IC), one norm per kernel position, on the drawn set, from random weights.
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position"),
)
work_dir = "work_dirs/mini/deeplabv3_wrs_ic"  # configs/deeplabv3_wrs_ic.py writes to work_dirs/deeplabv3_wrs_ic
