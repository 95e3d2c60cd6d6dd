# Adaptive weight shrink (paper AWS, eq. 21): each step shrinks a weight-standardized filter by the
# factor 1 - lr * alpha * std. It belongs with a model whose convolutions are NormRegWSConv2d (or WN
# ones). alpha = 2.5e-3 is the paper's for ImageNet.
custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="AWS", alpha=2.5e-3),
)
