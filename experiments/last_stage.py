#!/usr/bin/env python3
"""CE against CoSENT as the last stage on enciphered pairs, and their blend. last_stage.toml has the question and what came out.

    experiments/last_stage.py --pairs NAME=FILE … --bert DIR --work DIR [--rows 100000] [--steps NAME=2000 …] [--seeds 3]

FILE holds text TAB text TAB 0 or 1. Makes the cipher and the true map, trains both with the same first stage, batch and steps,
without marks, and prints a table: Spearman and accuracy on held-out groups. The threshold is swept exactly on one half of these
rows and counted on the other, both ways. `cipherpet` is taken from the PATH; nothing beside Python is needed. What is done is
not done again.
"""

import argparse
import csv
import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOSSES = ["ce", "cosent"]


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def cipherpet(*command):
    subprocess.run(["cipherpet", *map(str, command), "--quiet"], check=True, stdout=subprocess.DEVNULL)


def prepare(name, plain, options):
    """The enciphered pairs, and what each id stands for where the BERT has a row for it."""
    folder = options.work / name
    cipher, key_map = folder / "cipher" / f"{name}.tsv", folder / "key-map.tsv"
    if not key_map.exists():
        write(folder / f"{name}.tsv", lines(plain)[: options.rows])
        cipherpet("cipher", "--pairs", folder / f"{name}.tsv", "--checkpoint", options.bert, "--out", cipher.parent)
        known = set(lines(f"{options.bert}/vocab.txt"))
        header, *key = lines(cipher.parent / "key.tsv")
        write(key_map, [header] + [row for row in key if row.split("\t")[1] in known])
    return cipher.resolve(), key_map.resolve()


def train(name, loss, seed, steps, files, options):
    out = options.work / "runs" / f"{name}-{loss}-{seed}"
    cipher, key_map = files
    sets = [f"data.train={cipher}", f"align.file={key_map}", f"checkpoint.dir={Path(options.bert).resolve()}"]
    sets += [f"stage.labels.objective={loss}", f"stage.labels.max_steps={steps}"]
    cipherpet("run", HERE / "last_stage.toml", "--seed", seed, "--out", out, *(word for key in sets for word in ("--set", key)))
    return out


def right(told, counted):
    """Rows of `counted` that are right by the threshold that is best on `told`; rows are (score, label)."""
    order = sorted(told)
    n_right = best = sum(label for _, label in order)  # all above the threshold
    threshold = float("-inf")
    for (score, label), (above, _) in zip(order, order[1:] + [(float("inf"), 0)]):
        n_right += 1 - 2 * label
        if n_right > best and above > score:
            best, threshold = n_right, (score + above) / 2
    return sum((score > threshold) == label for score, label in counted)


def figures(run, scores):
    """Spearman as the tool has it, and accuracy by exact threshold, from `scores` of a run."""
    manifest = json.loads((run / "manifest.json").read_text())
    with open(run / scores, newline="") as file:
        rows = [(float(row["score"]), int(row["label"])) for row in csv.DictReader(file)]
    halves = rows[::2], rows[1::2]
    accuracy = (right(halves[0], halves[1]) + right(halves[1], halves[0])) / len(rows)
    return manifest["result"]["scores"]["spearman"], accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--bert", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--steps", nargs="*", default=[], metavar="NAME=STEPS")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    steps = dict(entry.split("=") for entry in options.steps)
    print("pairs", "last stage", "Spearman", "sd", "accuracy", "sd", "of each seed", sep="\t")
    for name, plain in (entry.split("=", 1) for entry in options.pairs):
        files = prepare(name, plain, options)
        blends = ["two of ce", "ce and cosent"] if options.seeds > 1 else ["ce and cosent"]  # two of a loss are of two seeds
        of = {way: [] for way in [*LOSSES, *blends]}
        runs = {loss: [] for loss in LOSSES}
        for seed in range(options.seeds):
            for loss in LOSSES:
                run = train(name, loss, seed, steps.get(name, 2000), files, options)
                runs[loss].append(run)
                of[loss].append(figures(run, "valid.csv"))
        for seed in range(options.seeds):  # a blend of two losses beside one of two seeds
            pairs = {"ce and cosent": (runs["ce"][seed], runs["cosent"][seed])}
            pairs["two of ce"] = (runs["ce"][seed], runs["ce"][(seed + 1) % options.seeds])
            for way, pair in ((way, pairs[way]) for way in blends):
                blend = options.work / "runs" / f"{name}-{way.replace(' ', '-')}-{seed}"
                if not blend.exists():
                    cipherpet("ensemble", *pair, "--how", "rank", "--out", blend)
                of[way].append(figures(blend, "valid.csv"))
        for way, told in of.items():
            spearman, accuracy = zip(*told)
            shown = " ".join(f"{a:.4f}/{b:.4f}" for a, b in told)
            mean, sd = statistics.mean, lambda values: statistics.stdev(values) if len(values) > 1 else 0
            print(name, way, f"{mean(spearman):.4f}", f"{sd(spearman):.4f}", f"{mean(accuracy):.4f}", f"{sd(accuracy):.4f}", shown, sep="\t", flush=True)


main()
