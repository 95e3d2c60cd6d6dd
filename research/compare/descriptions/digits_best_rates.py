# How the best learning rate goes with weight decay: with 1 / lambda under SGD and Nesterov momentum, with 1 / sqrt(lambda)
# under RMSprop and Adam (L2 paper, Section 6, Fig. 4). Validation chooses the rate, for each seed.
# python -m research.compare digits_best_rates
title = "three convolutions with batch norm on 400 of scikit-learn's digits, weight decay of the whole net"
kind = "cifar"
base = dict(data="digits", net="cnn3", pictures=400, validated=400, tested=997, batch=32, augment=False)
base.update(epochs=80, schedule="drops")
_DECAYS = {"sgd": (2e-3, 8e-3, 3.2e-2), "nesterov": (2e-3, 8e-3, 3.2e-2)}
_DECAYS |= dict.fromkeys(("rmsprop", "adam"), (0.001, 0.016, 0.256))
_LOWEST = {"sgd": 4e-3, "nesterov": 4e-4, "rmsprop": 6e-5, "adam": 6e-5}
"""By the laws, the best rate changes by a factor of 4 from one decay to the next."""
methods = {
    f"{name} {decay:g}": dict(optimizer=name, weight_decay=decay) for name, decays in _DECAYS.items() for decay in decays
}
rate = "rate"
rates_of = {label: tuple(_LOWEST[label.split()[0]] * 4**k for k in range(7)) for label in methods}
scores = {"accuracy %": "accuracy"}
seeds = selection_seeds = (0, 1, 2)
