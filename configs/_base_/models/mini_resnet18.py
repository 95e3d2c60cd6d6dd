# ResNet-18 with all its 20 convolutions and a quarter of its channels, for images of 32 px.
_base_ = "./resnet18_cifar.py"

model = dict(backbone=dict(stem_channels=16, base_channels=16), head=dict(in_channels=128))
