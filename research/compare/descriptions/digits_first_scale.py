# Filters that begin 1, 20 or 100 times as large, in weight-standardized convolutions (AWS paper, Fig. 5 and 6).
# python -m research.compare digits_first_scale
# A large filter has a small effective rate and learns little until it has shrunk. Weight decay shrinks it by the same
# factor at each update. AWS shrinks a larger filter faster: after t updates its std is below 1 / (eta alpha t). Weight
# decay of 1e-4 is the paper's. Its alpha, 2.5e-3, is for 500,500 updates; these 2,000 updates need a larger one.
title = "three weight-standardized convolutions on 400 of scikit-learn's digits, 2,000 updates from larger filters"
kind = "cifar"
base = dict(data="digits", net="cnn3", pictures=400, validated=400, tested=997, batch=32, augment=False, convert="ws")
base.update(epochs=2000 / 12, rate=0.1, schedule="constant", weight_decay=1e-4)
columns = {f"x{scale}": dict(initial_scale=scale) for scale in (1, 20, 100)}
methods = {
    **{f"WD {decay:g}": dict(filter_decay=decay) for decay in (1e-4, 1e-3)},
    "AWS 0.1": dict(method=dict(type="AWS", alpha=0.1)),
}
scores = {"accuracy %": "accuracy"}
