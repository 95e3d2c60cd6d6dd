# ResNet-18 on Tiny ImageNet with AdamW, the first row of the WRS paper's Table II (section VI-B). The table gives neither
# rate nor decay; these are those of Fig. 2. For the Adam of Table I: --cfg-options optim_wrapper.optimizer.type=Adam
# optim_wrapper.optimizer.weight_decay=5e-4
_base_ = "./resnet18_tinyimagenet_wd.py"

optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=5e-1))
