# CSRNet on UCF-QNRF with weight rescaling (WRS) after every update, the paper's interval (paper: MAE 96.5, RMSE 173.8). The
# sixteen 3x3 convolutions are rescaled, "all conv layers before the output".
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1),
)
