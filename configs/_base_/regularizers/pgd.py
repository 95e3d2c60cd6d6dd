# Constrained weight optimization (paper constrained, Algorithm 1): after every step each filter has
# mean 0 and norm sqrt(2). It belongs with a model that has NormRegScaleBias in place of its norms.
custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no decay on scales and biases (section 4.1.1)
)
