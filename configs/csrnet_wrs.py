# CSRNet on UCF-QNRF with weight rescaling (WRS) after every update, the paper's interval. The paper reports MAE 96.5
# and RMSE 173.8 on the test set. The sixteen 3x3 convolutions are rescaled. The output layer has weight decay.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=1))
