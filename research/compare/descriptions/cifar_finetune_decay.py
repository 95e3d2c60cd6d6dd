# Corrected weight decay at the learning rates and the weight decay of plain weight decay.
# python -m research.compare cifar_finetune_decay
title = "resnet20, trained on CIFAR-10, fine-tuned to 1,000 of its JPEG pictures"
kind = "cifar"
base = dict(net="resnet20", weights="resnet20.pth", epochs=2, batch=64, weight_decay=5e-4, validated=1_000, tested=4_000)
base.update(pictures=1_000)
methods = {
    "WD": dict(method=dict(type="WD")),
    "corrected decay": dict(method=dict(type="CorrectedDecay")),
}
scores = {"accuracy %": "accuracy"}
rate = "rate"
rates = (0.001, 0.01)
every_rate = {"": tuple(methods)}
