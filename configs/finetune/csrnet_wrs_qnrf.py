# Fine-tune CSRNet on UCF-QNRF with weight rescaling (WRS) to norm 1. Search the rate: the log names the one
# that keeps the effective rate.
_base_ = "./csrnet_wd_qnrf.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=1))
