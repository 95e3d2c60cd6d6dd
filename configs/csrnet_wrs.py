# CSRNet on UCF-QNRF with weight rescaling (WRS) after every update, the paper's interval. The paper reports MAE 96.5
# and RMSE 173.8 on the test set. The sixteen 3x3 convolutions are rescaled, "all conv layers before the
# output". Weight decay acts on the norm layers' own parameters only (Algorithm 1, line 7; see yolov3_wrs.py).
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=1, decay_on="norm_layers"),
)
