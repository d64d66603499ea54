#!/usr/bin/env bash
# Codes of digits against the published tables, and every index by recall and speed; what came out stands in hashing.md.
#
#   experiments/hashing.sh mnist MNIST_DIR WORK_DIR [SEEDS]
#   experiments/hashing.sh recall VECTORS.npy WORK_DIR [ROWS…]
#
# MNIST_DIR holds train-images-idx3-ubyte.gz and the other three files. `mnist` writes WORK_DIR/map.tsv (mAP@All by class of LSH,
# FlyHash and BioHash, the latter with winners by raw and by normalised weights; k = 2, 4, 8, 16, 32) and WORK_DIR/overlap.tsv
# (average overlap with the nearest 2 % of 10,000 digits). VECTORS.npy is a matrix of float32, as `cipherpet embed` writes it;
# `recall` writes WORK_DIR/recall-ROWS.tsv for each number of rows (default: as many as there are), grown by noisy copies where the
# file has fewer, and with matplotlib WORK_DIR/recall.svg, a panel for each. Set THREADS (default 1) for more threads.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,11p' "$0" | cut -c3-; exit 2; }
here=$(realpath "$(dirname "$0")") what=$1 input=$2 work=$3
shift 3
export RAYON_NUM_THREADS=${THREADS:-1}
mkdir -p "$work"
cargo build --manifest-path "$here/../Cargo.toml" --release --quiet --example hashing
hashing=${CARGO_TARGET_DIR:-$here/../target}/release/examples/hashing

case $what in
mnist)
    "$hashing" mnist "$input" --seeds "${1:-1}" >"$work/map.tsv"
    "$hashing" overlap "$input" --seeds "${1:-1}" --winners raw --methods lsh,flyhash,densefly,biohash >"$work/overlap.tsv"
    ;;
recall)
    [ $# -gt 0 ] || set -- all
    tables=()
    for rows; do
        size=() table=$work/recall-$rows.tsv
        [ "$rows" = all ] || size=(--rows "$rows")
        "$hashing" recall "$input" "${size[@]}" >"$table"
        tables+=("$table")
    done
    ! python3 -c 'import matplotlib' 2>/dev/null || python3 "$here/hashing_plot.py" "${tables[@]}" "$work/recall.svg"
    ;;
*) echo "mnist or recall, not $what" >&2; exit 2 ;;
esac
