# CIFAR-100, with all else as in cifar10_crop_flip.py.
_base_ = "./cifar10_crop_flip.py"

cifar100 = dict(type="CIFAR100", data_root="data/cifar100/")
train_dataloader = dict(dataset=cifar100)
val_dataloader = dict(dataset=cifar100)
test_dataloader = dict(dataset=cifar100)
