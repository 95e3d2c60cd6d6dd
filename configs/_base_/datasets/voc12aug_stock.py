# The batch of mmseg's own config: 4 images on each of 4 GPUs.
_base_ = "./voc12aug.py"

train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(enable=False, base_batch_size=16)
