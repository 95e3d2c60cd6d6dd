# ResNet-18 on CIFAR-10 with weight standardization (WS) and weight decay, the other baseline of the WRS paper (Table I).
# Without weight decay it "cannot achieve a competitive performance" (Fig. 6b): --cfg-options
# optim_wrapper.optimizer.weight_decay=0. On other nets: --cfg-options model.backbone.conv_cfg.type=NormRegWSConv2d
_base_ = "./resnet18_cifar10_wd.py"

model = dict(backbone=dict(conv_cfg=dict(type="NormRegWSConv2d")))
