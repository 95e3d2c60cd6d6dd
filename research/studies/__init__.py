"""Small experiments with the claims of the AWS and the constrained papers, on scikit-learn's digits.

Each experiment is a module with `runs(...)` (what to train), `train(run)` (one run), `table` and `draw` (the results).
command.py trains, prints and saves. research/study_aws.py and research/study_pgd.py name the parts.
"""
