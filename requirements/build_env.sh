#!/usr/bin/env bash
# Builds one environment: build_env.sh FOLDER PYTHON LIST MMCV EXTRAS, as the Makefile does.
# The order matters. mmcv is compiled against the torch that is there already. Of the two builds of OpenCV the headless one
# is unpacked last, so that cv2 needs no libGL. An mmcv that pip had cached for another torch is compiled again.
set -euo pipefail

folder=$1 python=$2 list=$3 mmcv=$4 extras=$5
log=$folder.log
pip=("$folder/bin/python" -m pip install -c "$list")
fast=("$(dirname "$0")/with_torch_header.sh" env MMCV_WITH_OPS=1)
: >"$log"

step() { # NUMBER TEXT COMMAND...: runs the command; what it prints goes to the log
    local start=$SECONDS
    printf '[%s] %s ... ' "$1" "$2"
    if "${@:3}" >>"$log" 2>&1; then
        printf '%d s\n' $((SECONDS - start))
    else
        printf 'failed. The end of %s:\n\n' "$log"
        tail -n 25 "$log"
        exit 1
    fi
}

compile_mmcv() {
    "${fast[@]}" "${pip[@]}" --no-build-isolation "$mmcv"
    "$folder/bin/python" -c 'import mmcv.ops' ||
        "${fast[@]}" "${pip[@]}" --no-build-isolation --no-cache-dir --force-reinstall --no-deps "$mmcv"
}

echo "Building $folder. A new machine downloads 3 GB and compiles mmcv once; pip caches both."
step 1/6 "virtual environment" "$python" -m venv "$folder"
step 2/6 "build tools" "${pip[@]}" pip setuptools wheel ninja packaging
step 3/6 "torch (a minute or two)" "${pip[@]}" torch torchvision opencv-python
step 4/6 "OpenCV without a screen" "${pip[@]}" opencv-python-headless
step 5/6 "mmcv (three minutes on two cores, seconds from the cache)" compile_mmcv
step 6/6 "normreg_plugins and its hosts (a minute)" "${pip[@]}" --no-build-isolation -e ".[$extras]"
"$folder/bin/python" -c 'import mmcv.ops, mmpretrain, normreg_plugins'
