#!/usr/bin/env bash
# Shared by dist_train.sh and dist_test.sh: SCRIPT USAGE POSITION_OF_GPUS ARGUMENTS...
set -euo pipefail

if (($# < 3)); then
    echo "usage: use dist_train.sh or dist_test.sh" >&2
    exit 2
fi
script=$1 usage=$2 position=$3
shift 3
if (($# < position)) || ! [[ ${!position} =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: $usage   (GPUS is a number of 1 or more)" >&2
    exit 2
fi
gpus=${!position}
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

command=(
    "${PYTHON:-python}" -m torch.distributed.run
    --nnodes "${NNODES:-1}"
    --node_rank "${NODE_RANK:-0}"
    --master_addr "${MASTER_ADDR:-127.0.0.1}"
    --master_port "${PORT:-29500}"
    --nproc_per_node "$gpus"
    --max_restarts "${MAX_RESTARTS:-0}"
    "$tools/$script" "${@:1:position-1}" --launcher pytorch "${@:position+1}"
)
if [[ ${DRY_RUN:-} ]]; then
    printf '%q ' "${command[@]}"
    echo
    exit
fi
# Say so here, and not once per rank. The configs of this package go by their name alone.
if [[ ! -f $1 && ! -f $tools/../configs/$1 ]]; then
    echo "there is no config $1 (in $PWD)" >&2
    exit 2
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # torchrun would set the same, with a warning
export NORMREG_LAUNCHED=${NORMREG_LAUNCHED:-$(date +%s)} # a restart resumes what was saved since
exec "${command[@]}"
