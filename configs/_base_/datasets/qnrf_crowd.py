# UCF-QNRF as normreg prepare-qnrf prepares it. Training takes crops of 512 px in batches of 32; counting takes
# full pictures.
data_root = "data/qnrf/"
crop = 512
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(type="CrowdRandomCrop", size=crop, head=(4, 128), least_visible=0.3),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
val_pipeline = [dict(type="CrowdLoad"), dict(type="CrowdPack")]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="UCFQNRF", data_root=data_root, ann_file="train.json", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="UCFQNRF",
        data_root=data_root,
        ann_file="val.json",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="UCFQNRF",
        data_root=data_root,
        ann_file="test.json",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="CountMetric")
test_evaluator = dict(type="CountMetric")
