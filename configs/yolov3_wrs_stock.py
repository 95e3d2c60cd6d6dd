# mmdet's own YOLOv3, with its 273 epochs, its augmentation and its rate, and two lines for weight rescaling. mmdet runs
# the norm layers of the backbone on frozen statistics. WRS rescales these statistics together with the weights, so the
# network computes the same function. To train those norm layers, as the paper does: --cfg-options
# model.backbone.norm_eval=False. Weight decay stays on everything that is not rescaled, the default in users' configs.
_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
