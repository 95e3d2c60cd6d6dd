# csrnet_wd.py on ShanghaiTech part A (normreg prepare-shanghaitech). Not in the paper. Heads are assumed to be smaller
# than in QNRF, and a person who is at least half in the crop counts as one.
_base_ = "./csrnet_wd.py"

data_root = "data/shanghaitech_a/"
crop = 512
train_pipeline = [
    dict(type="CrowdLoad"),
    dict(
        type="CrowdRandomCrop",
        size=crop,
        head=(4, 40),
        head_scale=0.8,
        least_visible=0.5,
        partial=False,
    ),
    dict(type="CrowdFlip"),
    dict(type="CrowdPack"),
]
train_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root))
test_dataloader = dict(dataset=dict(type="ShanghaiTech", data_root=data_root))
