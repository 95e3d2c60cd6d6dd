#!/usr/bin/env bash
# Shared by slurm_train.sh and slurm_test.sh: LAUNCHER POSITION_OF_GPUS PARTITION JOB_NAME ARGUMENTS OF THE LAUNCHER...
# It starts LAUNCHER on each machine, through srun, and puts the number of GPUs of a machine at its place.
set -euo pipefail

if (($# < 4)); then
    echo "usage: use slurm_train.sh or slurm_test.sh" >&2
    exit 2
fi
launcher=$1 position=$2 partition=$3 job=$4
shift 4
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
((per_node > gpus)) && per_node=$gpus
if ((gpus % per_node)); then
    echo "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node: every machine runs the same number" >&2
    exit 2
fi
nodes=$((gpus / per_node))
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
read -ra srun_args <<<"${SRUN_ARGS:-}"

# Evaluated on each machine, where Slurm has set its own variables.
# shellcheck disable=SC2016
first_node='$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
# shellcheck disable=SC2016
on_each_node='NNODES=$SLURM_NNODES NODE_RANK=$SLURM_NODEID MASTER_ADDR='$first_node' exec "$@"'

command=(
    srun --partition "$partition" --job-name "$job"
    --nodes "$nodes" --ntasks "$nodes" --ntasks-per-node 1
    --gres "gpu:$per_node" --cpus-per-task $((${CPUS_PER_TASK:-5} * per_node))
    --kill-on-bad-exit=1 "${srun_args[@]}"
    bash -c "$on_each_node" "$launcher"
    "$tools/$launcher" "${@:1:position-1}" "$per_node" "${@:position}"
)
if [[ ${DRY_RUN:-} ]]; then
    printf '%q ' "${command[@]}"
    echo
    exit
fi
exec "${command[@]}"
