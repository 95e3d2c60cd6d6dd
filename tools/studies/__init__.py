"""Small experiments with the claims of the AWS and the constrained papers, on scikit-learn's digits.

One module per experiment, each with `runs(...)` (what to train), `train(run)` (one run), `table` and `draw` (what came
out); command.py trains, prints and saves; tools/study_aws.py and tools/study_pgd.py name the parts.
"""
