# The drawn crowds of tools/data/make_mini_data.py, after tools/data/prepare_qnrf.py: heads are 4 to 9 pixels wide,
# so everything that is measured in pixels is smaller than in QNRF. A crop is as high as the smallest picture: in
# smaller ones batch norm sees more of the padding, and the counts of whole pictures are off by more.
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
custom_hooks = [dict(type="CrowdMemoryHook", crop=crop)]
