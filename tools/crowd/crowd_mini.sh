#!/usr/bin/env bash
# Crowd counting from raw data to a counted picture, on drawn crowds: bash tools/crowd/crowd_mini.sh [METHOD]
# METHOD is wd, wrs (default), wrs_ic, aws or pgd. It takes some minutes on two CPU cores. PYTHON=... chooses the
# interpreter. Each step is a command that works in the same way on UCF-QNRF.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python}
method=${1:-wrs}
data=data/mini/crowd
work=work_dirs/mini_crowd_$method

$python tools/data/make_mini_data.py crowd
$python tools/data/prepare_qnrf.py $data $data/prepared --sides 128 256 --val 24 --any-counts
$python tools/train.py configs/mini/csrnet_"$method".py --work-dir "$work"
best=$(ls -t "$work"/best_count_MAE_*-*.pth | head -n 1)
$python tools/test.py configs/mini/csrnet_"$method".py "$best" --work-dir "$work" \
    --cfg-options test_evaluator.out_dir="$work"/predictions
$python tools/eval_mae.py "$work"/predictions $data/prepared/test.json \
    --baseline $data/prepared/train.json --bands 10 30 100
$python tools/crowd/infer_crowd.py "$best" $data/Test/img_0001.jpg $data/Test/img_0002.jpg \
    --sides 128 256 --out "$work"/counted
