#!/usr/bin/env python3
"""What is it worth to tell the network which tokens both sentences have (data.mark_shared), by number of rows?

    experiments/marks.py NAME=CIPHER.tsv,MAP.tsv[,LABELS] ... --bert DIR --work DIR [--seeds N]

Each cipher is pairs with labels, `binary` or `ordinal`; the map is its key (`cipherpet cipher` makes both; tasks.py and last_stage.py
show how). A tenth of the rows by components of shared sentences, at most 2,000, is held out, so that no held-out sentence was
trained on. Of the other rows 2,000, 10,000 and all train a BERT of 4 x 256, joint PET (cosent for grades), with marks and without: the
same steps, the same seconds. Prints the metric beside that of the overlap of tokens on the same rows, and the loss of the MLM in the last
epoch. `cipherpet` is taken from the PATH. What is done is not done again.
What came out stands in README.md.
"""

import argparse
import json
import random
import statistics
import subprocess
from pathlib import Path

# Rows to train on, and epochs: about 400, 950 and, of 36,000 rows, 1,100 steps of 64.
SIZES = [(2000, 12), (10000, 6), (None, 2)]
HELD_OUT = 2000
SETTINGS = ["data.max_tokens=100", "predict.swap=false", "vocab.min_count=1", "align.method=file", "train.batch=64", "train.learning_rate=3e-4", "train.unlabelled=[\"valid\"]"]


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def split(rows):
    """Rows to train on and rows to judge by, in random order, without a sentence in common."""
    parent = {}

    def root(text):
        while parent.setdefault(text, text) != text:
            parent[text] = text = parent[parent[text]]
        return text

    for row in rows:
        a, b = row.split("\t")[:2]
        parent[root(a)] = root(b)
    components = {}
    for row in rows:
        components.setdefault(root(row.split("\t")[0]), []).append(row)
    order = sorted(components)
    random.Random(0).shuffle(order)
    wanted = min(HELD_OUT, len(rows) // 10)
    train, valid = [], []
    for text in order:
        component = components[text]
        (valid if len(valid) + len(component) <= wanted else train).extend(component)
    random.Random(1).shuffle(train)
    return train, valid


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path.resolve()


def run(name, files, seed, marks, epochs, options):
    train, valid, key_map, labels = files
    out = options.work / "runs" / f"{name}-{marks}-{seed}"
    sets = [*SETTINGS, f"data.train={train}", f"data.valid={valid}", f"align.file={key_map}", f"checkpoint.dir={Path(options.bert).resolve()}",
            f"train.epochs={epochs}", f"data.mark_shared={marks}", f"task.labels={labels}"]
    if labels == "ordinal":
        sets += ["objective.name=cosent", "objective.mlm_weight=0.5"]
    empty = write(options.work / "empty.toml", [""])
    command = ["cipherpet", "run", empty, "--quiet", "--seed", str(seed), "--out", out]
    for setting in sets:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    last = json.loads(lines(out / "metrics.jsonl")[-1])
    baseline = json.loads((out / "manifest.json").read_text())["result"].get("baseline", {"score": float("nan")})["score"]
    return last["valid_score"], last["mlm_loss"], baseline


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ciphers", nargs="+", metavar="NAME=CIPHER,MAP[,LABELS]")
    parser.add_argument("--bert", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("cipher", "rows", "overlap", "without", "sd", "marks", "sd", "MLM without", "MLM marks", sep="\t", flush=True)
    for given in options.ciphers:
        name, paths = given.split("=", 1)
        cipher, key_map, labels = (paths.split(",") + ["binary"])[:3]
        train, valid = split(lines(cipher))
        folder = options.work / name
        valid = write(folder / "valid.tsv", valid)
        for size, epochs in SIZES:
            if size and size >= len(train):
                continue
            rows = train[:size]
            files = (write(folder / f"train-{len(rows)}.tsv", rows), valid, Path(key_map).resolve(), labels)
            of = {}
            for marks in ("false", "true"):
                of[marks] = [run(f"{name}-{len(rows)}", files, seed, marks, epochs, options) for seed in range(options.seeds)]
            figures = [name, len(rows), f"{of['true'][0][2]:.3f}"]
            for marks in ("false", "true"):
                scores = [score for score, _, _ in of[marks]]
                figures += [f"{statistics.mean(scores):.3f}", f"{statistics.stdev(scores):.3f}" if len(scores) > 1 else "-"]
            figures += [f"{statistics.mean(loss for _, loss, _ in of[marks]):.2f}" for marks in ("false", "true")]
            print(*figures, sep="\t", flush=True)


if __name__ == "__main__":
    main()
