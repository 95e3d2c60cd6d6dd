# mmdet's own YOLOv3: its 273 epochs, its augmentation, its rate, and two lines for weight
# rescaling. mmdet runs the norms of the backbone on frozen statistics; a rescaled weight there
# keeps the network as it was because its statistics are rescaled with it. To train those norms as
# the paper does:
#   --cfg-options model.backbone.norm_eval=False
_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
