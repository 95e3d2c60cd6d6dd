# mmdet's own YOLOv3 (273 epochs, its augmentation and rate) and two lines for WRS. mmdet freezes the statistics of the
# backbone's norm layers; WRS rescales them with the weights. To train them: --cfg-options model.backbone.norm_eval=False
_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
