# CSRNet at full width from VGG16-BN weights, fine-tuned on ShanghaiTech part A in 268 updates of four crops of 128 px.
# Data: normreg prepare-shanghaitech part_A data/shanghaitech_a_384 --sides 256 384. The weights are torchvision's
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
train_cfg = dict(max_epochs=4)
param_scheduler = [
    dict(type="CosineAnnealingLR", T_max=4, by_epoch=True, begin=0, end=4, convert_to_iter_based=True),
]

data_root = "data/shanghaitech_a_384/"
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(type="CrowdRandomCrop", size=128, head=(2, 20), head_scale=0.8, least_visible=0.5, partial=False),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
train_dataloader = dict(
    batch_size=4, dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="train.json", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="val.json"))
test_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root, ann_file="test.json"))
