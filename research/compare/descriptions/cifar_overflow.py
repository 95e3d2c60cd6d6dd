# Which strengths a weight-standardized net survives at the rates of the AWS paper (Tables 1 and 2).
# python -m research.compare cifar_overflow
title = "a narrow plain CNN with weight standardization as in eq. 25, on 2,000 pictures of CIFAR-10"
kind = "cifar"
base = dict(net="cnn8_eq25", pictures=2_000, epochs=21, batch=8, schedule="constant", weight_decay=1e-4, tested=2_000)
columns = {
    "SGD, rate 0.1": dict(optimizer="sgdm", rate=0.1),
    "Adam, rate 0.001": dict(optimizer="adam", rate=0.001),
}
methods = {
    **{f"WD {decay:g}": dict(filter_decay=decay) for decay in (1e-2, 1e-3, 1e-4, 1e-5)},
    **{f"AWS {alpha:g}": dict(method=dict(type="AWS", alpha=alpha)) for alpha in (1e-1, 1e-3, 1e-5)},
}
scores = {"accuracy %": "accuracy"}
baseline = "WD 0.0001"
