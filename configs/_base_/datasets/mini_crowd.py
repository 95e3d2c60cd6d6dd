# The drawn crowds of normreg make-mini-data, prepared by normreg prepare-qnrf. Heads are 4 to 9 pixels
# wide, so everything that is measured in pixels is smaller than for QNRF. A crop is as high as the smallest picture.
# With smaller crops the statistics of batch norm contain more padding, and the counts of full pictures are less exact.
_base_ = "./qnrf_crowd.py"

data_root = "data/mini/crowd/prepared/"
crop = 128
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(type="CrowdRandomCrop", size=crop, head=(4, 16), least_visible=0.3),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
