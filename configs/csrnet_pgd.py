# CSRNet on UCF-QNRF with constrained weights: scale, bias and noise in place of batch norm. The paper
# does not try counting. VGG16's filters are kept in direction only, so it is vgg16 without norms.
_base_ = [
    "_base_/models/csrnet.py",
    "_base_/datasets/qnrf_crowd.py",
    "_base_/schedules/csrnet_300e.py",
    "_base_/regularizers/pgd.py",
    "_base_/runtimes/crowd.py",
]
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4))
model = dict(
    backbone=dict(norm_cfg=dict(type="NormRegScaleBias", sigma=0.1)),
    pretrained="torchvision://vgg16",
)
