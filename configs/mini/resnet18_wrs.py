# A small ResNet-18 with weight rescaling (WRS) on the digits, the output layer included.
_base_ = "./resnet18_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, output_layers="head.fc"),
)
work_dir = "work_dirs/mini/resnet18_wrs"
