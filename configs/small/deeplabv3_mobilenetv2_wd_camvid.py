# mmseg's own DeepLabv3 on MobileNetV2 from ImageNet weights, fine-tuned on CamVid in 120 updates; its head has 128
# channels instead of 512. Data: normreg prepare-camvid RAW data/camvid. Weights:
# python -m research.prepare_mobilenetv2 mobilenet_v2-b0353104.pth mmseg data/weights/mobilenet_v2_mmseg.pth
_base_ = "mmseg::mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024.py"

data_root = "data/camvid"
classes = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
pretrained = "data/weights/mobilenet_v2_mmseg.pth"
input_size = (128, 96)

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WD"))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="CosineAnnealingLR", T_max=120, by_epoch=False, begin=0, end=120),
]
train_cfg = dict(max_iters=120, val_interval=120)
default_hooks = dict(
    logger=dict(interval=40), checkpoint=dict(interval=120, save_best="mIoU", rule="greater", max_keep_ckpts=1)
)

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    data_preprocessor=dict(size=input_size[::-1]),
    pretrained=None,
    backbone=dict(norm_cfg=norm_cfg, init_cfg=dict(type="Pretrained", checkpoint=pretrained)),
    decode_head=dict(channels=128, num_classes=len(classes), norm_cfg=norm_cfg),
    auxiliary_head=dict(channels=128, num_classes=len(classes), norm_cfg=norm_cfg),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", scale=input_size),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=input_size),
    dict(type="LoadAnnotations"),  # after Resize, so that the prediction is scored at the size of the photo
    dict(type="PackSegInputs"),
]
pictures = dict(
    type="BaseSegDataset", data_root=data_root, metainfo=dict(classes=classes), img_suffix=".jpg", seg_map_suffix=".png"
)
train_dataloader = dict(
    _delete_=True,
    batch_size=4,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        **pictures, data_prefix=dict(img_path="img_dir/train", seg_map_path="ann_dir/train"), pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(**pictures, data_prefix=dict(img_path="img_dir/val", seg_map_path="ann_dir/val"), pipeline=test_pipeline),
)
test_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(**pictures, data_prefix=dict(img_path="img_dir/test", seg_map_path="ann_dir/test"), pipeline=test_pipeline),
)
randomness = dict(seed=0)
