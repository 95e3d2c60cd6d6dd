# A small ResNet-18 with AdamP on the digits.
_base_ = "./resnet18_wd.py"

optim_wrapper = dict(optimizer=dict(_delete_=True, type="NormRegAdamP", lr=1e-3, weight_decay=5e-1))
work_dir = "work_dirs/mini/resnet18_adamp"
