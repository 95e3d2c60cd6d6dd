#!/usr/bin/env bash
# Train under Slurm: one torchrun per machine, started by srun.
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [flags of tools/train.py]
# From the environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5, per GPU), SRUN_ARGS, PORT.
# DRY_RUN=1 prints the command instead of running it.
set -euo pipefail

if (($# < 4)); then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [flags]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" dist_train.sh 2 "$1" "$2" "$3" --work-dir "${@:4}"
