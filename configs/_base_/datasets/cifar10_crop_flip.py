# CIFAR-10 with "mirroring and random cropping" in batches of 128, the standard augmentation of the constrained paper
# (section 4.1.1). Four pixels of padding are what the papers it follows have; it gives no number. Its other
# augmentation, Fast AutoAugment, is a setting of research/cifar/in_mm.py.
_base_ = "./cifar10.py"

train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        pipeline=[
            dict(type="RandomCrop", crop_size=32, padding=4),
            dict(type="RandomFlip", prob=0.5, direction="horizontal"),
            dict(type="PackInputs"),
        ]
    ),
)
