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
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
((per_node > gpus)) && per_node=$gpus
if ((gpus % per_node)); then
    echo "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node: every machine must run the same number" >&2
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
    bash -c "$on_each_node" dist_train
    "$tools/dist_train.sh" "$config" "$per_node" --work-dir "$work_dir" "$@"
)
if [[ ${DRY_RUN:-} ]]; then
    printf '%q ' "${command[@]}"
    echo
    exit
fi
exec "${command[@]}"
