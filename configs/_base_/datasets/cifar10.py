# CIFAR-10 as the WRS paper has it (section VI-A): crops from images that are padded from 32 to 38 px, flips, and random
# brightness, contrast, hue and saturation, whose strengths the paper does not give.
#
# Validation is on the test set, which is what the papers report. To choose rates, intervals and decays on the last
# 5,000 training images instead: --cfg-options train_dataloader.dataset.indices=45000
#   val_dataloader.dataset.split=train val_dataloader.dataset.indices=-5000
data_root = "data/cifar10/"
train_pipeline = [
    dict(type="RandomCrop", crop_size=32, padding=3),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="ColorJitter", brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=100,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="CIFAR10", data_root=data_root, split="train", download=False, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="CIFAR10", data_root=data_root, split="test", download=False, pipeline=[dict(type="PackInputs")]),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Accuracy", topk=(1, 5))
test_evaluator = val_evaluator
