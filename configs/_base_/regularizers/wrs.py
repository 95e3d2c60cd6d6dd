# Weight rescaling (paper WRS, Algorithm 1). The interval tau counts parameter updates, not batches.
# The paper tries 10, 20, ... 50; it gives 10 for DeepLabv3, 1 for CSRNet and none for YOLOv3.
custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10),
)
