# The same YOLOv3 with all its 75 convolutions, for the drawn set: three classes, anchors for shapes of 22 to 80 px in
# images of 160 px, and no ImageNet weights.
_base_ = "./yolov3_d53.py"

model = dict(
    backbone=dict(init_cfg=None),
    bbox_head=dict(
        num_classes=3,
        anchor_generator=dict(
            base_sizes=[
                [(54, 54), (64, 64), (78, 78)],
                [(35, 35), (40, 40), (46, 46)],
                [(24, 24), (27, 27), (31, 31)],
            ]
        ),
    ),
)
