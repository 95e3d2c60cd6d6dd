#!/usr/bin/env bash
# Runs a command, such as `pip install mmcv`, that compiles a C++ extension of torch, about three times faster:
#
#   requirements/with_torch_header.sh env MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv
#
# Nearly all of the time goes into parsing torch's headers once per source file. Here they are precompiled once, with the
# flags of the first compiler call. A compiler that cannot use the result reads the plain header instead.
set -euo pipefail

if [[ $(basename "$0") != g++ ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT # the precompiled header takes some 400 MB
    install -m 755 "$0" "$folder/g++"
    echo '#include <torch/types.h>' >"$folder/torch_header.h"
    TORCH_HEADER=$folder/torch_header.h REAL_CXX=${CXX:-c++} CXX=$folder/g++ "$@"
    exit
fi

# From here on this file is the compiler.
flags=() compiles=
while (($#)); do
    case $1 in
        -c) compiles=1 ;;
        -o | -MF) rest+=("$1" "$2") && shift ;;
        -MMD | *.cpp) rest+=("$1") ;;
        *) flags+=("$1") ;;
    esac
    shift
done
[[ $compiles ]] || exec "$REAL_CXX" "${flags[@]}" ${rest[@]+"${rest[@]}"}
flags+=(-g0 -O2)
(
    flock 9 # parallel calls wait for the first
    [[ -e $TORCH_HEADER.done ]] || "$REAL_CXX" "${flags[@]}" -x c++-header "$TORCH_HEADER" -o "$TORCH_HEADER.gch" || true
    touch "$TORCH_HEADER.done"
) 9>"$TORCH_HEADER.lock"
exec "$REAL_CXX" "${flags[@]}" -include "$TORCH_HEADER" -c "${rest[@]}"
