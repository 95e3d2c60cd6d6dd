# ResNet-18 on Tiny ImageNet with AdamP (Heo et al. 2021) from timm (WRS paper, section VI-B, Table II).
_base_ = "./resnet18_tinyimagenet_adamw.py"

optim_wrapper = dict(optimizer=dict(type="NormRegAdamP"))
