# CSRNet on UCF-QNRF with constrained weights (PGD): scale, bias and noise instead of batch norm. PGD uses only the
# directions of VGG16's filters, so it starts from vgg16 without norm layers. Weight decay stays the task's 1e-4.
_base_ = "./csrnet_wd.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="PGD"),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # no weight decay on scales and biases (section 4.1.1)
)
model = dict(
    backbone=dict(norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)),
    pretrained="torchvision://vgg16",
)
