# ResNet-18 on Tiny ImageNet with AdamW and weight rescaling (WRS) (WRS paper, section VI-B, Table II).
_base_ = "./resnet18_tinyimagenet_adamw.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WRS", interval=10, decay_on="norm_layers", output_layers="head.fc"),
    optimizer=dict(weight_decay=5e-4),  # on norm layers only; one of the three that the paper chooses from
)
