# The same YOLOv3 neck and head at an eighth of their width, on a ResNet-18 of a quarter of its width, for BCCD in
# images of 192 x 144 px. One CPU core can train it. The anchors are the sizes of its blood cells at that scale. All
# weights are random at the start.
_base_ = "./yolov3_d53.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="ResNet",
        depth=18,
        base_channels=16,
        num_stages=4,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        style="pytorch",
    ),
    neck=dict(in_channels=[128, 64, 32], out_channels=[64, 32, 16]),
    bbox_head=dict(
        num_classes=3,
        in_channels=[64, 32, 16],
        out_channels=[128, 64, 32],
        anchor_generator=dict(
            base_sizes=[
                [(40, 36), (60, 54), (73, 68)],
                [(26, 25), (32, 30), (37, 35)],
                [(10, 9), (12, 12), (16, 14)],
            ]
        ),
    ),
)
