# MBM, 15 + 14 + 15 pictures, prepared in the size that one CPU core can train:
#   normreg prepare-mbm RAW data/mbm --sides 300 300
# Each nucleus that is at least half in the crop counts as one.
_base_ = "./mini_crowd.py"

data_root = "data/mbm/"
crop = 128
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(type="CrowdRandomCrop", size=crop, head=(4, 16), least_visible=0.5, partial=False),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=8,  # a crop is a sixth of a picture
        dataset=dict(type="MBM", data_root=data_root, ann_file="train.json", pipeline=train_pipeline),
    ),
)
val_dataloader = dict(dataset=dict(type="MBM", data_root=data_root))
test_dataloader = dict(dataset=dict(type="MBM", data_root=data_root))
