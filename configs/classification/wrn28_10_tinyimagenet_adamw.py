# WideResNet-28-10, as it was published, on Tiny ImageNet with AdamW (WRS paper, section VI-B, Table II, "the standard
# ResNet18 and WideResNet"). Rate and decay are those of resnet18_tinyimagenet_adamw.py. The other rows by --cfg-options:
#   AdamP    optim_wrapper.optimizer.type=NormRegAdamP
#   WRS      optim_wrapper.regularizer.type=WRS optim_wrapper.regularizer.interval=10
#            optim_wrapper.regularizer.decay_on=norm_layers optim_wrapper.regularizer.output_layers=head.fc
#            optim_wrapper.optimizer.weight_decay=5e-4
#   WRS(IC)  those of WRS, and optim_wrapper.regularizer.per=position
# WRS takes 12 of the 28 convolutions, the first one of each block. Those that are added up before a norm layer sees them
# are left alone. To rescale them too, which changes what the net computes: optim_wrapper.regularizer.select='backbone.*'
_base_ = "./wrn28_10_tinyimagenet_wd.py"

model = dict(backbone=dict(block="preactivated"))
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=5e-1))
