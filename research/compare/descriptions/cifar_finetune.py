# Fine-tuning the public resnet20 to JPEG pictures of CIFAR-10.
# python -m research.compare cifar_finetune
title = "resnet20, trained on CIFAR-10, fine-tuned to its JPEG pictures"
kind = "cifar"
base = dict(net="resnet20", weights="resnet20.pth", epochs=2, batch=64, weight_decay=5e-4, validated=1_000, tested=4_000)
columns = {
    "1,000 pictures": dict(pictures=1_000),
    "4,000 pictures, 1 epoch": dict(pictures=4_000, epochs=1),
}
methods = {
    "WD": dict(method=dict(type="WD")),
    "WRS, decay on others": dict(method=dict(type="WRS", interval=10, decay_on="others")),
    "WRS, own norms, decay on others": dict(method=dict(type="WRS", interval=10, radius="initial", decay_on="others")),
    "AWS": dict(method=dict(type="AWS", alpha=3e-4), convert="wn"),  # shrinks a filter of norm 1.7 as WD does
    "PGD": dict(method=dict(type="PGD"), convert="pgd"),
    "PGD, not centred": dict(method=dict(type="PGD", center=False), convert="pgd"),
}
scores = {"accuracy %": "accuracy"}
rate = "rate"
rates = (0.0003, 0.001, 0.01, 0.05)
rates_of = {
    "PGD": (1e-5, 1e-4, 3e-4, 1e-3),
    "PGD, not centred": (1e-4, 3e-4, 1e-3, 3e-3),
}  # nothing normalizes, so larger rates diverge
not_drawn = ("PGD",)  # centring a pretrained filter changes what it computes
every_rate = {"1,000 pictures": ("WD", "WRS, own norms, decay on others")}
