# CSRNet at full width from VGG16-BN weights, fine-tuned on ShanghaiTech part A in 135 updates of two crops of 96 px.
# Data: normreg prepare-shanghaitech part_A data/shanghaitech_a_160 --sides 128 160. The weights are torchvision's
# VGG16-BN, or any file with its first ten convolutions under the same names: --cfg-options model.init_cfg.checkpoint=FILE
_base_ = [
    "../_base_/models/csrnet.py",
    "../_base_/datasets/mini_crowd.py",
    "../_base_/schedules/small_csrnet.py",
    "../_base_/runtimes/small_crowd.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),
)
train_cfg = dict(max_epochs=1)
param_scheduler = [  # the last 35 updates have rate 0: the running statistics settle
    dict(type="CosineAnnealingLR", T_max=100, by_epoch=False, begin=0, end=100),
]

data_root = "data/shanghaitech_a_160/"
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(type="CrowdRandomCrop", size=96, head=(1, 10), head_scale=0.8, least_visible=0.5, partial=False),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
train_dataloader = dict(
    batch_size=2, dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="train.json", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="val.json"))
test_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="test.json"))
