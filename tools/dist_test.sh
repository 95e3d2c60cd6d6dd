#!/usr/bin/env bash
# Evaluate on several GPUs: tools/dist_test.sh CONFIG CHECKPOINT GPUS [flags of tools/test.py]
# More machines, CPUs and DRY_RUN: as in dist_train.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" test.py "$0 CONFIG CHECKPOINT GPUS [flags]" 3 "$@"
