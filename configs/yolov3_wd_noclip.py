# yolov3_wd.py without clipping, which the paper does not mention. Clipping shortens long gradients, and short filters have
# long ones, so with it the methods train at different rates. See docs/protocols.md
_base_ = "./yolov3_wd.py"

optim_wrapper = dict(clip_grad=None)
