# Small batches, where the statistics of batch norm are inexact (constrained paper, Table 2). The rate is 0.1 B / 128.
# python -m research.compare cifar_batches
title = "a narrow plain CNN on 2,000 pictures of CIFAR-10"
kind = "cifar"
base = dict(net="cnn8", pictures=2_000, epochs=4, rate=0.1, rate_is_for_batch=128, weight_decay=1e-3, tested=5_000)
methods = {
    "batch norm": {},
    "PGD": dict(method=dict(type="PGD"), convert="pgd"),
}
columns = {f"B = {batch}": dict(batch=batch) for batch in (128, 32, 8, 4, 2)}
scores = {"accuracy %": "accuracy"}
