#!/usr/bin/env bash
# Minutes to a given validation AUC, against the PyTorch peer, side by side: A B A B …
#
#   PEER=torch_pet.py PYTHON=python3 tests/bench/time_to_auc.sh TRAIN.tsv TEST.tsv BERT_DIR COUNTS.tsv [PAIRS [EPOCHS [PEER_EPOCHS]]]
#
# Needs: cargo, and a Python with torch, transformers, safetensors and numpy (named in PYTHON). Installs nothing. Run nothing beside it:
# it takes hours. Both sides train on the same files and judge by the rows i mod 10, on two threads. Ours is EPOCHS (default 7) epochs of
# the preset `fast`; the peer is the best of its frequency map and scratch, each for PEER_EPOCHS (default 12) epochs in bf16 and in f32.
# Minutes are those of training and validation, with the start of neither and without what ours writes to disk in between: ours are the
# `seconds` of its epochs, which hold both; the peer's `seconds` hold training alone, so that its lines are timed as they arrive, from its
# first one, said before the first step, to that of an epoch, said after its validation. Prints each curve, then minutes to .85, .88 and .90.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,11p' "$0" | cut -c3-; exit 2; }
train=$(realpath "$1") test=$(realpath "$2") bert=$(realpath "$3") counts=$(realpath "$4")
pairs=${5:-1} epochs=${6:-7} peer_epochs=${7:-12}
python=${PYTHON:-python3} peer=$(realpath "${PEER:?the path of torch_pet.py}") threads=${THREADS:-2}
"$python" -c 'import torch, transformers, safetensors, numpy' || { echo "needs torch, transformers, safetensors and numpy in $python" >&2; exit 2; }
cd "$(dirname "$0")/../.."
cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "name seconds AUC", a line an epoch; seconds from before the first step.
ours() {
    cat >"$work/time.toml" <<TOML
preset = "fast"
[data]
train = "$train"
test = "$test"
valid = "row10"
[checkpoint]
dir = "$bert"
[align]
counts = "$counts"
TOML
    rm -rf "$work/out"
    target/release/cipherpet run "$work/time.toml" --quiet --threads "$threads" --out "$work/out" --set "train.epochs=$epochs" >/dev/null 2>&1
    curve cipherpet valid_score written <"$work/out/metrics.jsonl"
}

theirs() { # start, precision
    "$python" -u "$peer" --bert "$bert" --train "$train" --test "$test" --counts "$counts" --epochs "$peer_epochs" \
        --align "$1" --precision "$2" --threads "$threads" 2>/dev/null | curve "torch-$1-$2" valid_auc arrival
}

curve() { # name, key of the AUC, "written": by the seconds in the lines, or "arrival": by when they come
    "$python" -c '
import json, sys, time
name, key, clock = sys.argv[1:]
seconds, begun = 0.0, None
for line in sys.stdin:
    now = time.monotonic()
    begun = now if begun is None else begun
    epoch = json.loads(line)
    if key in epoch:
        seconds = now - begun if clock == "arrival" else seconds + epoch["seconds"]
        print(name, round(seconds, 1), epoch[key], flush=True)' "$1" "$2" "$3"
}

for pair in $(seq "$pairs"); do
    ours
    for start in rank scratch; do
        for precision in bf16 f32; do theirs "$start" "$precision"; done
    done
done | tee "$work/curves" | sed 's/^/  /'

"$python" - "$work/curves" <<'PYTHON'
import statistics, sys
runs = {}
for line in open(sys.argv[1]):
    name, seconds, auc = line.split()
    if not runs.get(name) or float(seconds) < runs[name][-1][-1][0]:
        runs.setdefault(name, []).append([])
    runs[name][-1].append((float(seconds), float(auc)))
for wanted in (0.85, 0.88, 0.90):
    minutes = {}
    for name, curves in runs.items():
        reached = [next((seconds / 60 for seconds, auc in curve if auc >= wanted), None) for curve in curves]
        if None not in reached:
            minutes[name] = statistics.median(reached)
    ours = minutes.pop("cipherpet", None)
    best = min(minutes.items(), key=lambda item: item[1], default=None)
    said = "not reached" if ours is None else f"{ours:.1f} minutes"
    peer = "torch not reached" if best is None else f"{best[0]} {best[1]:.1f} minutes"
    ratio = f", {ours / best[1]:.2f} of that" if ours and best else ""
    print(f"AUC {wanted}: cipherpet {said}; {peer}{ratio}")
PYTHON
