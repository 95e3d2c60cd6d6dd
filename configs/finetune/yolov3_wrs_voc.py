# Fine-tune YOLOv3 on VOC with weight rescaling (WRS) to norm 1. Search the rate: the log names the one
# that keeps the effective rate.
_base_ = "./yolov3_wd_voc.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
