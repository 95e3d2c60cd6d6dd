# yolov3_wrs.py on the paper's own split of COCO 2014: see yolov3_wd_coco2014.py.
_base_ = "./yolov3_wd_coco2014.py"

custom_imports = dict(imports=["normreg_plugins"])
optim_wrapper = dict(constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=10))
