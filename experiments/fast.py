#!/usr/bin/env python3
"""Is the preset `fast` ahead of what needs no network, on pairs that it was not chosen on?

    experiments/fast.py NAME=FILE[,binary|ordinal] ... --work DIR [--ids] [--rows 40000] [--seeds 1] [--threads 1] [--only NAME/{rows|groups} ...]

FILE is pairs with labels: text TAB text TAB label, or ids with --ids. Texts are enciphered by character first. The first --rows rows train
and judge, twice: rows i mod 10 are held out; or a tenth of the rows, at most 2,000, without a sentence that is trained on (marks.py).
The BERT is the one inside the tool, the map is by rank, all else is `preset = "fast"`, of ordinal labels with the objective cosent. Prints AUC
(Spearman) beside that of the share of common tokens, and of TF-IDF with a linear model (tfidf.py). Needs scikit-learn; `cipherpet` is
taken from the PATH. What is done is not done again. What came out stands in README.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from marks import lines, split, write

HERE = Path(__file__).resolve().parent
BERT = HERE.parent / "vocab" / "demo"


def prepare(name, file, options):
    """The file of ids."""
    folder = options.work / name
    rows = write(folder / f"{name}.tsv", lines(file)[: options.rows])
    if options.ids:
        return rows
    cipher = folder / "cipher" / f"{name}.tsv"
    if not cipher.exists():
        subprocess.run(["cipherpet", "cipher", "--pairs", rows, "--out", cipher.parent, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return cipher.resolve()


def tfidf(out, labels, train, valid):
    if not out.exists():
        command = [sys.executable, HERE / "tfidf.py", train, "pair", labels, *valid]
        out.write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return json.loads(out.read_text())


def run(out, labels, train, valid, seed, options):
    sets = ['preset="fast"', f"data.train={train}", f"data.valid={valid}", "data.max_tokens=100", f"checkpoint.dir={BERT}", f"align.counts={BERT / 'counts.tsv'}", f"task.labels={labels}"]
    if labels == "ordinal":
        sets += ["objective.name=cosent"]
    empty = write(options.work / "empty.toml", [""])
    command = ["cipherpet", "run", empty, "--quiet", "--threads", str(options.threads), "--seed", str(seed), "--out", out]
    for setting in sets:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((out / "manifest.json").read_text())["result"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=FILE[,LABELS]")
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--ids", action="store_true")
    parser.add_argument("--rows", type=int, default=40000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    options.work = options.work.resolve()
    print("set", "held out", "rows", "overlap", "TF-IDF", "fast", "sd", "minutes", sep="\t", flush=True)
    for given in options.sets:
        name, rest = given.split("=", 1)
        file, labels = (rest.split(",") + ["binary"])[:2]
        metric = "spearman" if labels == "ordinal" else "auc"
        ids = prepare(name, file, options)
        folder = options.work / name
        for way in ("rows", "groups"):
            if options.only and f"{name}/{way}" not in options.only:
                continue
            train, valid, judged = ids, "row10", []
            if way == "groups":
                of_train, of_valid = split(lines(ids))
                train, valid = write(folder / "train.tsv", of_train), write(folder / "valid.tsv", of_valid)
                judged = [valid]
            peer = tfidf(folder / f"tfidf-{way}.json", labels, train, judged)
            results = [run(folder / f"{way}-{seed}", labels, train, valid, seed, options) for seed in range(options.seeds)]
            scores = [result["scores"][metric] for result in results]
            spread = f"{statistics.stdev(scores):.4f}" if len(scores) > 1 else "-"
            minutes = statistics.mean(result["seconds"] for result in results) / 60
            print(name, way, len(lines(train)), f"{results[0]['baseline']['score']:.4f}", f"{peer[metric]:.4f}", f"{statistics.mean(scores):.4f}", spread,
                  f"{minutes:.1f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
