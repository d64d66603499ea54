#!/usr/bin/env python3
"""A run of every kind of task on a cipher whose key is known, beside TF-IDF. tasks.toml has the question and what came out.

    experiments/tasks.py --lcqmc DIR --stsb FILE --hotel FILE --plain DIR --oppo DIR --bert DIR --counts FILE --work DIR

Makes the plain files of each task and enciphers them (`cipherpet cipher`), scores TF-IDF on the ids (tfidf.py), trains with
seeds 0, 1, 2 on the same rows, and prints one line a task. The rows i mod 10 are held out in all. What is done is not done
again. `cipherpet` is taken from the PATH; needs scikit-learn. `--only NAME …` takes some of the tasks, `--seeds N` fewer seeds.
`--tune NAME` chooses settings, given with `--set KEY=VALUE`, on other rows: those of the table are left out, and of the rest
every ninth is held out.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Settings beside those of tasks.toml, and the figures to show; OPPO has its own file.
TASKS = {
    "oppo": ("pair", "binary", ["auc"], []),
    "stsb_mse": ("pair", "ordinal", ["spearman"], ["stage.labels.objective=mse", "stage.masks.epochs=4"]),
    "stsb_cosent": ("pair", "ordinal", ["spearman"], ["stage.labels.objective=cosent", "stage.masks.epochs=4"]),
    "hotel": ("single", "binary", ["accuracy", "auc"], ["stage.labels.objective=ce"]),
    "corpora": ("single", "classes", ["macro_f1"], ["stage.labels.objective=ce"]),
    "properties": ("single", "multilabel", ["mean_auc"], ["stage.labels.objective=bce", "stage.masks.epochs=2", "stage.labels.epochs=3"]),
}


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def properties(sentence):
    """Labels that a sentence has; most of them are no single token."""
    found = {
        "digit": any(c.isdigit() for c in sentence),
        "latin": any("a" <= c <= "z" for c in sentence.lower()),
        "question": any(word in sentence for word in ["吗", "呢", "什么", "怎么", "几", "多少", "谁", "哪", "?", "？"]),
        "long": len(sentence) > 10,
        "me": "我" in sentence,
        "repeats": len(set(sentence)) < len(sentence),
    }
    return ",".join(name for name, holds in found.items() if holds)


def plain_rows(data, options):
    """The plain rows of a data set, in a fixed random order."""
    if data == "stsb":
        rows = lines(options.stsb)
    elif data == "hotel":
        rows = lines(options.hotel)
    elif data == "corpora":
        rows = []
        for path in sorted(Path(options.plain).glob("*.txt")):
            sentences = random.Random(0).sample(lines(path), 2000)
            rows += [f"{sentence}\t{path.stem}" for sentence in sentences]
    elif data == "properties":
        sentences = sorted({text for line in lines(f"{options.lcqmc}/train.tsv") for text in line.split("\t")[:2]})
        sentences = random.Random(0).sample(sentences, 20000)
        rows = [f"{sentence}\t{properties(sentence)}" for sentence in sentences]
    random.Random(1).shuffle(rows)
    return rows


def prepare(task, options):
    """The enciphered file of a task, and the settings of its map."""
    if task == "oppo":  # whose key nobody has
        folder = Path(options.oppo).resolve()
        return folder / "train.tsv", [f"data.test={folder / 'test.tsv'}", f"align.counts={Path(options.counts).resolve()}"]
    data = task.split("_")[0]
    folder = options.work / data
    cipher, key_map = folder / "cipher" / f"{data}.tsv", folder / "key-map.tsv"
    if not key_map.exists():
        write(folder / f"{data}.tsv", plain_rows(data, options))
        flag = "--pairs" if TASKS[task][0] == "pair" else "--single"
        command = ["cipherpet", "cipher", flag, folder / f"{data}.tsv", "--checkpoint", options.bert, "--out", cipher.parent]
        subprocess.run(command, check=True)
        known = set(lines(f"{options.bert}/vocab.txt"))
        header, *key = lines(cipher.parent / "key.tsv")
        write(key_map, [header] + [row for row in key if row.split("\t")[1] in known])
    return cipher, ["align.method=file", f"align.file={key_map.resolve()}"]


def tuning_rows(cipher, folder):
    """Other rows to choose settings on: those of the table are left out, of the rest every ninth is held out."""
    rest = [row for number, row in enumerate(lines(cipher)) if number % 10]
    write(folder / "tune-train.tsv", [row for number, row in enumerate(rest) if number % 9])
    write(folder / "tune-valid.tsv", [row for number, row in enumerate(rest) if number % 9 == 0])


def run(task, cipher, alignment, seed, options):
    kind, labels, _, settings = TASKS[task]
    out = options.work / "runs" / (f"{task}-{seed}" + ("-" + options.tune if options.tune else ""))
    valid = "row10"
    if options.tune:
        folder = options.work / task
        tuning_rows(cipher, folder)
        cipher, valid = folder / "tune-train.tsv", (folder / "tune-valid.tsv").resolve()
    sets = [f"data.train={cipher.resolve()}", f"data.valid={valid}", f"checkpoint.dir={Path(options.bert).resolve()}"]
    sets += [f"task.kind={kind}", f"task.labels={labels}", *alignment, *settings, *options.set]
    experiment = "oppo-mini.toml" if task == "oppo" else "tasks.toml"
    command = ["cipherpet", "run", HERE / experiment, "--quiet", "--seed", str(seed), "--out", out]
    for setting in sets:
        command += ["--set", setting]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(lines(out / "metrics.jsonl")[-1]), json.loads((out / "manifest.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["lcqmc", "stsb", "hotel", "plain", "oppo", "bert", "counts"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tune", metavar="NAME", help="a name for the settings that are tried")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    print("task", "metric", "TF-IDF", "mean", "sd", "seeds", "seconds", sep="\t")
    for task in options.only:
        kind, labels, metrics, _ = TASKS[task]
        cipher, alignment = prepare(task, options)
        told = options.work / f"{task}-tfidf.json"
        if not told.exists():
            command = [sys.executable, HERE / "tfidf.py", cipher, kind, labels]
            told.write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        peer = json.loads(told.read_text())
        runs = [run(task, cipher, alignment, seed, options) for seed in range(options.seeds)]
        for metric in metrics:
            figures = [epoch["scores"][metric] for epoch, _ in runs]
            spread = statistics.stdev(figures) if len(figures) > 1 else 0
            seconds = statistics.mean(manifest["result"]["seconds"] for _, manifest in runs)
            shown = " ".join(f"{figure:.4f}" for figure in figures)
            print(task, metric, f"{peer[metric]:.4f}", f"{statistics.mean(figures):.4f}", f"{spread:.4f}", shown, f"{seconds:.0f}", sep="\t", flush=True)


main()
