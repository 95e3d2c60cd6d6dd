# ResNet-18 with all its 20 convolutions and a quarter of its channels, for images of 16 px. The pixels get the mean 0 and
# the deviation 1 of the digits: without norm layers, as with PGD, the net sees the scale of its images.
_base_ = "./resnet18_cifar.py"

model = dict(
    data_preprocessor=dict(mean=[79.0] * 3, std=[89.0] * 3),
    backbone=dict(stem_channels=16, base_channels=16),
    head=dict(in_channels=128),
)
