# The constrained paper on CIFAR (section 4.1.1): 200 epochs on a cosine in batches of 128. The paper gives rate and decay
# for its own method only; these are the usual ones.
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4))
# All numbers assume this many images per update and per iteration. On several GPUs: docs/multi_gpu.md
auto_scale_lr = dict(enable=False, base_batch_size=128, written_for=128)
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=200, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="CosineAnnealingLR", T_max=200, by_epoch=True, begin=0, end=200, convert_to_iter_based=True)]
