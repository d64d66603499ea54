#!/usr/bin/env bash
# Learning curves of alignment.toml: a cipher of LCQMC with its key, every start, three sizes with three seeds, and all rows
# with one.
#
#   experiments/alignment.sh LCQMC_DIR PLAIN_DIR BERT_DIR WORK_DIR [JOBS]
#
# LCQMC_DIR holds train.tsv and dev.tsv (text TAB text TAB label), PLAIN_DIR plain text as *.txt, of which lcqmc.txt is left
# out. Runs JOBS (default 2) at a time on one thread each; what is done is not done again. Needs `cipherpet` in the PATH.
# Writes WORK_DIR/results.tsv: rows, start, seed, AUC on dev, AUC on training rows held out (none of all), MLM loss of the last
# epoch.
# With matplotlib: experiments/alignment_plot.py WORK_DIR/results.tsv experiments/alignment.svg
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,11p' "$0" | cut -c3-; exit 2; }
lcqmc=$(realpath "$1") plain=$(realpath "$2") bert=$(realpath "$3") jobs=${5:-2}
experiment=$(realpath "$(dirname "$0")")/alignment.toml
mkdir -p "$4" && cd "$4"
mapfile -t corpora < <(find "$plain" -name '*.txt' ! -name lcqmc.txt | sort)

[ -d cipher ] || cipherpet cipher --pairs "$lcqmc"/{train,dev}.tsv --checkpoint "$bert" --out cipher
[ -f counts.tsv ] || cipherpet count "${corpora[@]}" --checkpoint "$bert" --out counts.tsv
# The maps come from all training text, as in a competition: only labels are few.
[ -f rank-map.tsv ] || {
    cipherpet run "$experiment" --set data.train=cipher/train.tsv --set data.valid=none --set checkpoint.dir="$bert" \
        --set train.max_steps=1 --set align.method=rank --set align.counts=counts.tsv --out rank
    cp rank/mapping.tsv rank-map.tsv
}
[ -f graph-map.tsv ] || cipherpet align --pairs cipher/train.tsv --plain "${corpora[@]}" --checkpoint "$bert" --unit char \
    --key cipher/key.tsv --out graph-map.tsv
# The key, where the BERT has a row.
[ -f key-map.tsv ] || awk -F'\t' 'NR == FNR { row[$0]; next } FNR > 1 && $2 in row' "$bert/vocab.txt" cipher/key.tsv >key-map.tsv
# Rows at even distances, and others that are in no part.
cut_rows() { awk -v step="$1" -v n="$2" 'NR % step == 0 { print; if (++k == n) exit }' cipher/train.tsv; }
cut_rows 119 2000 >2000.tsv
cut_rows 23 10000 >10000.tsv
cut_rows 4 50000 >50000.tsv
all=$(wc -l <cipher/train.tsv)
cp cipher/train.tsv "$all.tsv"
awk 'NR % 27 == 1 && NR % 4 && NR % 23 && NR % 119' cipher/train.tsv >held_out.tsv

one() { # rows, start, seed
    local epochs options name=$1-$2-$3
    case $1 in 2000) epochs=6 ;; 10000) epochs=3 ;; *) epochs=1 ;; esac
    case $2 in
        scratch | random) options="--set align.method=$2" ;;
        soft) options="--set align.method=file --set align.file=graph-map.tsv" ;;
        *) options="--set align.method=file --set align.file=$2-map.tsv --set align.soft=false" ;;
    esac
    # shellcheck disable=SC2086 # options are words
    cipherpet run "$experiment" --threads 1 --quiet --seed "$3" --set data.train="$1.tsv" --set data.valid=cipher/dev.tsv \
        --set checkpoint.dir="$bert" --set train.epochs=$epochs $options --out "runs/$name" >/dev/null
    cipherpet predict "runs/$name" --pairs held_out.tsv --out "runs/$name/held_out.csv" --threads 1 --quiet
}
export -f one
export experiment bert
mkdir -p runs
starts=(scratch random rank graph soft key)
{
    for seed in 0 1 2; do
        for rows in 2000 10000 50000; do
            for start in "${starts[@]}"; do echo "$rows $start $seed"; done
        done
    done
    for start in "${starts[@]}"; do echo "$all $start 0"; done
} | xargs -P "$jobs" -L 1 bash -c 'one "$@"' one

python3 - "$all" >results.tsv <<'PYTHON'
import itertools, json, pathlib, sys

labels = [int(line.split("\t")[2]) for line in open("held_out.tsv")]

def auc(scores):  # by ranks, ties at their middle
    pairs, rank, total = sorted(zip(scores, labels)), 0, 0.0
    for _, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
        group = list(group)
        total += sum(label for _, label in group) * (rank + (len(group) + 1) / 2)
        rank += len(group)
    ones = sum(labels)
    return (total - ones * (ones + 1) / 2) / (ones * (len(labels) - ones))

print("rows", "start", "seed", "dev_auc", "held_out_auc", "mlm_loss", sep="\t")
for run in sorted(pathlib.Path("runs").iterdir()):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    rows = run.name.split("-")[0]
    held_out = "nan" if rows == sys.argv[1] else f"{auc([float(line) for line in open(run / 'held_out.csv')]):.4f}"
    print(*run.name.split("-"), f"{last['valid_auc']:.4f}", held_out, f"{last['mlm_loss']:.3f}", sep="\t")
PYTHON
