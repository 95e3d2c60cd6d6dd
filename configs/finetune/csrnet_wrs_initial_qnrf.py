# Fine-tune CSRNet on UCF-QNRF with weight rescaling (WRS) to the norm that each filter has in the checkpoint:
# the rate of weight decay carries over.
_base_ = "./csrnet_wd_qnrf.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1, radius="initial"),
)
