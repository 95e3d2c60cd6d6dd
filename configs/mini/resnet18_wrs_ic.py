# A small ResNet-18 with WRS(IC), one norm per kernel position, on the digits.
_base_ = "./resnet18_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position", output_layers="head.fc"),
)
work_dir = "work_dirs/mini/resnet18_wrs_ic"
