#!/usr/bin/env bash
# Training speed against the PyTorch peer, side by side: A B A B …, tokens a second without padding.
#
#   PEER=torch_pet.py PYTHON=python3 tests/bench/versus_torch.sh TRAIN.tsv TEST.tsv BERT_DIR COUNTS.tsv [PAIRS]
#
# Needs: cargo, and a Python with torch, transformers, safetensors and numpy (named in PYTHON). Installs nothing.
# Both sides train on the same files with the same model size, batch 64 and two threads; the first ten steps are
# not timed. Both run in their fastest precision (of the peer's f32 and bf16 the better one counts) and in f32.
# Prints one line a pair, then medians.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,9p' "$0" | cut -c3-; exit 2; }
train=$(realpath "$1") test=$(realpath "$2") bert=$(realpath "$3") counts=$(realpath "$4") pairs=${5:-3}
python=${PYTHON:-python3} peer=$(realpath "${PEER:?the path of torch_pet.py}") threads=${THREADS:-2}
"$python" -c 'import torch, transformers, safetensors, numpy' || { echo "needs torch, transformers, safetensors and numpy in $python" >&2; exit 2; }
cd "$(dirname "$0")/../.."
cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "tokens/s megabytes" of ours: no validation and no scoring, the test rows join the training as they do for the peer.
ours() { # steps, precision, further --set options
    local steps=$1 precision=$2; shift 2
    cat >"$work/speed.toml" <<TOML
[data]
train = "$train"
unlabelled = "$test"
valid = "none"
[checkpoint]
dir = "$bert"
[align]
counts = "$counts"
[train]
batch = 64
max_steps = $steps
precision = "$precision"
TOML
    rm -rf "$work/out"
    target/release/cipherpet run "$work/speed.toml" --quiet --json --threads "$threads" --out "$work/out" "$@" 2>/dev/null |
        "$python" -c 'import json, sys; d = json.load(sys.stdin); print(round(d["tokens_per_second"]), round((d["peak_rss_bytes"] or 0) / 1e6))'
}

theirs() { # steps, precision, further options
    local steps=$1 precision=$2; shift 2
    "$python" - "$python" "$peer" --bert "$bert" --train "$train" --test "$test" --counts "$counts" --epochs 3 --steps "$steps" \
        --precision "$precision" --threads "$threads" "$@" <<'PYTHON'
import json, resource, subprocess, sys
run = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
last = json.loads(run.stdout.splitlines()[-1])
print(last["tokens_per_second"], round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6))
PYTHON
}

compare() { # name, steps, our options, peer's options
    local name=$1 steps=$2 ours_options=$3 peer_options=$4
    echo "$name, $steps steps, batch 64, $threads threads"
    for pair in $(seq "$pairs"); do
        # shellcheck disable=SC2086 # options are words
        echo "$pair $(ours "$steps" auto $ours_options) $(theirs "$steps" bf16 $peer_options)" \
            "$(ours "$steps" f32 $ours_options) $(theirs "$steps" f32 $peer_options)"
    done | "$python" -c '
import statistics, sys
rows = [[float(x) for x in line.split()[1:]] for line in sys.stdin]
for number, (auto, auto_mb, bf16, bf16_mb, f32, f32_mb, torch, torch_mb) in enumerate(rows, 1):
    print(f"  pair {number}: cipherpet {auto:.0f} (f32 {f32:.0f}), torch bf16 {bf16:.0f}, f32 {torch:.0f} tokens/s;"
          f" ratio {auto / max(bf16, torch):.2f}, in f32 {f32 / torch:.2f};"
          f" memory {auto_mb:.0f} (f32 {f32_mb:.0f}), torch bf16 {bf16_mb:.0f}, f32 {torch_mb:.0f} MB")
ratio = statistics.median(row[0] / max(row[2], row[6]) for row in rows)
f32_ratio = statistics.median(row[4] / row[6] for row in rows)
print(f"  median ratio {ratio:.2f}, in f32 {f32_ratio:.2f}")'
}

compare "4 layers x 256" 150 "" ""
compare "12 layers x 768" 15 \
    "--set align.method=scratch --set model.layers=12 --set model.hidden=768 --set model.heads=12 --set model.intermediate=3072" \
    "--align scratch --layers 12 --hidden 768 --heads 12 --intermediate 3072"
