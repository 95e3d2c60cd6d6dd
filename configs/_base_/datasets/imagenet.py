# ImageNet with crops of random size and aspect, and flips; tested on the central 224 px of 256 (experimental setting of
# the AWS paper; constrained paper, section 4.3.1). Both have 256 images in an update.
data_root = "data/imagenet/"
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="ImageNet",
        data_root=data_root,
        split="train",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="RandomResizedCrop", scale=224),
            dict(type="RandomFlip", prob=0.5, direction="horizontal"),
            dict(type="PackInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ImageNet",
        data_root=data_root,
        split="val",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="ResizeEdge", scale=256, edge="short"),
            dict(type="CenterCrop", crop_size=224),
            dict(type="PackInputs"),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Accuracy", topk=(1, 5))
test_evaluator = val_evaluator
