# The baseline: weight decay on every parameter, which is what the optimizer's weight_decay does.
custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(type="OptimWrapper")
