# DeepLabv3 on VOC 2012 with WRS(IC), the variant of the WRS paper with one norm for each kernel position. A 3x3 filter
# ends at norm 3. The paper does not try it on segmentation. About weight decay and
# the classifier: see deeplabv3_wrs.py.
_base_ = "./deeplabv3_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, per="position", decay_on="norm_layers"),
)
