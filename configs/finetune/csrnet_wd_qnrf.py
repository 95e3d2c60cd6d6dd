# Fine-tune CSRNet, with weight decay: on UCF-QNRF, on ShanghaiTech part A, or on your pictures, each prepared by
# normreg prepare-qnrf or prepare-shanghaitech (edit these).
data_root = "data/qnrf/"
dataset = "UCFQNRF"  # or "ShanghaiTech"
crop = 512
checkpoint = "torchvision://vgg16_bn"  # or a CSRNet of your own: work_dirs/csrnet_wd/best_count_MAE_epoch_300.pth

_base_ = [
    "../_base_/models/csrnet.py",
    "../_base_/datasets/qnrf_crowd.py",
    "../_base_/schedules/csrnet_100e.py",
    "../_base_/runtimes/crowd.py",
]

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="NormRegOptimWrapperConstructor",
    regularizer=dict(type="WD"),
    optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4),  # from a CSRNet: lr=1e-5
)
auto_scale_lr = dict(enable=False, base_batch_size=32, written_for=32)  # docs/multi_gpu.md
model = dict(init_cfg=dict(checkpoint=checkpoint))
pictures = dict(type=dataset, data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="CrowdLoad"),
            dict(type="CrowdRandomCrop", size=crop, head=(4, 128), least_visible=0.3),
            dict(type="CrowdFlip"),
            dict(type="CrowdPack"),
        ],
        **pictures,
    )
)
val_dataloader = dict(dataset=dict(**pictures))
test_dataloader = dict(dataset=dict(**pictures))
