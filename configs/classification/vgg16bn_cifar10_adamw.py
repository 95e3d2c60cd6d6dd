# VGG16-BN on CIFAR-10 with AdamW from 0.001 (WRS paper, section III-B, Fig. 2). Of the decays in Fig. 2b, only 5e-1
# helps. For the Adam of Table I: --cfg-options optim_wrapper.optimizer.type=Adam optim_wrapper.optimizer.weight_decay=5e-4
# With WRS: resnet18_tinyimagenet_adamw_wrs.py shows the lines to add.
_base_ = "./vgg16bn_cifar10_wd.py"

optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=5e-1))
