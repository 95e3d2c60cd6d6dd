# Under AdamW on digits, WRS is a little behind weight decay: is it the norm 1, the rate, or where weight decay acts?
# python -m research.compare digits_adamw
title = "a narrow plain CNN on 400 of scikit-learn's digits, AdamW"
kind = "cifar"
base = dict(data="digits", net="cnn8", pictures=400, validated=400, tested=997, epochs=30, batch=50, augment=False)
base.update(optimizer="adamw", weight_decay=5e-4)
_WRS = dict(type="WRS", interval=10, decay_on="others")
methods = {
    "WD 0.0005": {},
    "WD 0.05": dict(weight_decay=0.05),
    "WD 0.5": dict(weight_decay=0.5),
    "WRS, decay on others": dict(method=_WRS),
    "WRS, own norms, decay on others": dict(method=dict(**_WRS, radius="initial")),
    "WRS, WD 0.5, decay on others": dict(method=_WRS, weight_decay=0.5),
}
scores = {"accuracy %": "accuracy"}
digits = 2
rate = "rate"
rates = (0.003, 0.01, 0.03)
seeds = (0, 1, 2, 3, 4)
selection_seeds = (0, 1, 2, 3, 4)  # each seed draws its own pictures to learn from, to choose rates on, and to test
