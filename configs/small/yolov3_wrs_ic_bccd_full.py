# The full YOLOv3 of ../yolov3_wrs_ic.py, WRS(IC), on BCCD, from Darknet-53 of ImageNet. It needs a GPU.
_base_ = ["../yolov3_wrs_ic.py", "../_base_/datasets/bccd_full.py"]
(
    data_root,
    train_dataloader,
    val_dataloader,
    test_dataloader,
    val_evaluator,
    test_evaluator,
    model,
    param_scheduler,
) = _base_.bccd
