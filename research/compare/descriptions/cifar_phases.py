# When weight decay and WRS are active: always, in the first 3/10 of the run only, or afterwards (WRS paper, Fig. 1, 6a).
# The rate drops by 10 at 3/10, 6/10 and 8/10, as after 60, 120 and 160 of 200 epochs.
# python -m research.compare cifar_phases
title = "a narrow plain CNN on 2,000 pictures of CIFAR-10"
kind = "cifar"
base = dict(net="cnn8", pictures=2_000, epochs=10, batch=64, rate=0.1, schedule="drops", weight_decay=5e-3, tested=5_000)
methods = {
    "never": dict(phase=(0.0, 0.0)),
    "first 3/10": dict(phase=(0.0, 0.3)),
    "last 7/10": dict(phase=(0.3, 1.0)),
    "always": dict(phase=(0.0, 1.0)),
}
columns = {"WD": {}, "WRS, decay on others": dict(method=dict(type="WRS", interval=10, decay_on="others"))}
scores = {"accuracy %": "accuracy"}
