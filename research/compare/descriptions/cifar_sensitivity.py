# Weight decay over four orders of magnitude against WRS every 1 to 50 updates (WRS paper, Fig. 2b and 8).
# python -m research.compare cifar_sensitivity
_DECAYS = {"sgdm": (5e-5, 5e-4, 5e-3, 5e-2, 5e-1), "adamw": (5e-4, 5e-3, 5e-2, 5e-1, 5.0)}
_TAUS = (1, 3, 10, 30, 50)
title = "a narrow plain CNN on 2,000 pictures of CIFAR-10"
kind = "cifar"
base = dict(net="cnn8", pictures=2_000, epochs=6, batch=64, weight_decay=5e-4, tested=5_000)
columns = {
    "SGDM": dict(optimizer="sgdm", rate=0.1),
    "AdamW": dict(optimizer="adamw", rate=0.01),
}
methods = {
    **{f"WD {decay:g}": dict(weight_decay=decay, method=dict(type="WD")) for decay in (0.0, *_DECAYS["sgdm"], 5.0)},
    **{f"WRS tau {tau}, decay on others": dict(method=dict(type="WRS", interval=tau, decay_on="others")) for tau in _TAUS},
}
scores = {"accuracy %": "accuracy"}
baseline = "WD 0.0005"
sweeps = {
    "weight decay": {f"WD {decay:g}": decay for decay in (*_DECAYS["sgdm"], 5.0)},
    "updates between two rescales by WRS": {f"WRS tau {tau}, decay on others": tau for tau in _TAUS},
}
