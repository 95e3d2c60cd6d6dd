# Centring, sphere and noise, each on and off (constrained paper, Table 3), and how much noise (Table 4, constant sigma).
# python -m research.compare cifar_ablation
_SIGMAS = (0.0, 0.1, 0.2, 0.4)
title = "a narrow plain CNN without norm layers on 2,000 pictures of CIFAR-10"
kind = "cifar"
base = dict(net="cnn8", convert="pgd", pictures=2_000, epochs=10, batch=64, rate=0.05, weight_decay=1e-3, tested=5_000)
methods = {
    "both": dict(method=dict(type="PGD")),
    "sphere": dict(method=dict(type="PGD", center=False)),
    "centre": dict(centre_alone=True),
    "neither": {},
}
columns = {f"sigma {sigma:g}": dict(sigma=sigma) for sigma in _SIGMAS}
scores = {"accuracy %": "accuracy"}
