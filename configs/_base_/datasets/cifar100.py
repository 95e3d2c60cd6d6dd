# CIFAR-100, with all else as in cifar10.py.
_base_ = "./cifar10.py"

cifar100 = dict(type="CIFAR100", data_root="data/cifar100/")
train_dataloader = dict(dataset=cifar100)
val_dataloader = dict(dataset=cifar100)
test_dataloader = dict(dataset=cifar100)
