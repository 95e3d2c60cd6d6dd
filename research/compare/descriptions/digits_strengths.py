# Which strengths work: weight decay from 0 to 5e-1, or WRS every 1 to 30 updates (WRS paper, Fig. 2b).
# python -m research.compare digits_strengths
_CLASSIFIER = "13"  # in cnn3
_DECAYS, _TAUS = (5e-4, 5e-3, 5e-2, 5e-1), (1, 10, 30)
title = "three convolutions on 400 of scikit-learn's digits"
kind = "cifar"
base = dict(data="digits", net="cnn3", pictures=400, validated=400, tested=997, epochs=20, batch=32, augment=False)
base.update(rate=0.1, weight_decay=5e-4)
methods = {
    **{f"WD {decay:g}": dict(weight_decay=decay) for decay in (0.0, *_DECAYS)},
    **{f"WRS tau {tau}": dict(method=dict(type="WRS", interval=tau, output_layers=_CLASSIFIER)) for tau in _TAUS},
}
scores = {"accuracy %": "accuracy"}
seeds = (0, 1, 2, 3, 4)
baseline = "WD 0.0005"
sweeps = {
    "weight decay": {f"WD {decay:g}": decay for decay in _DECAYS},
    "updates between two rescales by WRS": {f"WRS tau {tau}": tau for tau in _TAUS},
}
