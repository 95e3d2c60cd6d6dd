#!/usr/bin/env bash
# Evaluate under Slurm: one torchrun per machine, started by srun.
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [flags of tools/test.py]
# From the environment, and DRY_RUN: as in slurm_train.sh.
set -euo pipefail

if (($# < 4)); then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [flags]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" dist_test.sh 3 "$@"
