# The paper's 100 epochs on a cosine. The warm-up is not in the paper. It is that of mmdet's YOLOv3, whose untrained
# heads are on a trained backbone.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=2000),
    dict(
        type="CosineAnnealingLR",
        T_max=100,
        by_epoch=True,
        begin=0,
        end=100,
        convert_to_iter_based=True,
    ),
]
