# Counting of cell nuclei, each method at the rate that its own validation chose of three.
# python tools/data/prepare_mbm.py RAW data/mbm --sides 300 300 && python -m research.compare mbm
title = "a small CSRNet on MBM, from random weights"
kind = "mm"
config = "configs/small/csrnet_{method}_mbm.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}, "adamp": {}}
scores = {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE"}
rate = "optim_wrapper.optimizer.lr"
rates = (3e-4, 1e-3, 3e-3)
rates_of = {"pgd": (1e-4, 3e-4, 1e-3)}  # no norm layer corrects a step that is too large
higher_is_better = False
digits = 2
