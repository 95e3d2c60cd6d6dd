# WRS(IC): one norm over the input channels at each kernel position, so that a 3x3 filter ends at
# norm 3 and not 1.
custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position"),
)
