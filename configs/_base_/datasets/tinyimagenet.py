# Tiny ImageNet as the WRS paper has it (section VI-A): crops from images that are padded from 64 to 72 px, flips, and
# random brightness, contrast, hue and saturation, whose strengths the paper does not give. The two lists come from
# normreg prepare-tinyimagenet. The test set has no public labels, so the validation images are what one reports.
data_root = "data/tinyimagenet/"
train_dataloader = dict(
    batch_size=100,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CustomDataset",
        data_root=data_root,
        data_prefix="train",
        ann_file="train.txt",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="RandomCrop", crop_size=64, padding=4),
            dict(type="RandomFlip", prob=0.5, direction="horizontal"),
            dict(type="ColorJitter", brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1),
            dict(type="PackInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CustomDataset",
        data_root=data_root,
        data_prefix="val",
        ann_file="val.txt",
        pipeline=[dict(type="LoadImageFromFile"), dict(type="PackInputs")],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Accuracy", topk=(1, 5))
test_evaluator = val_evaluator
