"""Small experiments with the claims of the AWS paper, on scikit-learn's digits.

One module per experiment, each with `runs(...)` (what to train), `train(run)` (one run), `table` and `draw` (what came
out); studies/command.py trains, prints and saves, and tools/study_aws.py names the parts.
"""
