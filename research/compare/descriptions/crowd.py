# Counting of drawn crowds, at the rates of configs/mini, which were chosen for each method beforehand.
# python -m research.compare crowd
title = "csrnet on a drawn set"
kind = "mm"
config = "configs/mini/csrnet_{method}.py"
methods: dict = {"wd": {}, "wrs": {}, "wrs_ic": {}, "aws": {}, "pgd": {}}
scores = {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE"}
higher_is_better = False
digits = 2
