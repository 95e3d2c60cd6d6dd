# A small ResNet-18 with weight decay on the digits of `normreg make-mini-data classification`.
_base_ = [
    "../_base_/models/mini_resnet18.py",
    "../_base_/datasets/mini_classification.py",
    "../_base_/schedules/mini_classification.py",
    "../_base_/runtimes/mini_classification.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4),
)
work_dir = "work_dirs/mini/resnet18_wd"
