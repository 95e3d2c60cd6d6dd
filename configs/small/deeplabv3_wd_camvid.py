# DeepLabv3 with weight decay on CamVid, as small as one CPU core can train, from random weights.
_base_ = [
    "../_base_/models/small_deeplabv3_r18.py",
    "../_base_/datasets/camvid.py",
    "../_base_/schedules/small_segmentation.py",
    "../_base_/runtimes/small_segmentation.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),  # on kernels and gammas, as in the paper
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=2e-4),
)
