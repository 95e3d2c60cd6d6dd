#!/usr/bin/env bash
# Train on several GPUs of one or more machines:
#   tools/dist_train.sh CONFIG GPUS [flags of tools/train.py]
# On more machines, run it on each, with the same MASTER_ADDR (a name of the first) and PORT:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 PORT=29500 tools/dist_train.sh CONFIG GPUS_PER_MACHINE
# With MAX_RESTARTS=3, training resumes from its last checkpoint when a rank dies, up to three times.
# Without GPUs the ranks run on CPUs. DRY_RUN=1 prints the command instead of running it.
exec "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" train.py "$0 CONFIG GPUS [flags]" 2 "$@"
