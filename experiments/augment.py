#!/usr/bin/env python3
"""Do pairs that a network writes itself (`cipherpet augment`) help where few rows have labels?

    experiments/augment.py NAME=CIPHER.tsv,MAP.tsv ... --bert DIR --work DIR [--seeds N] [--rows N …] [--cosine C] [--threads N]

Each cipher is pairs with labels; the map is its key (`cipherpet cipher` makes both). 2,000 rows without a sentence of the others are held
out (marks.py). Of N others the positive pairs train a generator (objective simbert), which writes ten sentences about each text; the
nearest one with a cosine of C or more becomes a pair. Then joint PET, 4 x 256, with marks, without and with these pairs. More rows are
more steps, so that there is a third run: without the pairs, for as many steps as with them. Prints the AUC on the held-out rows, mean and
standard deviation over the seeds, that of the generator itself, and how many pairs it wrote.
`cipherpet` is taken from the PATH. What is done is not done again. What came out stands in simbert.md.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from marks import SETTINGS, lines, split, write

# Rows, epochs of the generator, epochs of the others.
EPOCHS = {2000: (12, 12), 10000: (6, 6)}


def cipherpet(options, *words):
    common = ["--quiet", *(["--threads", str(options.threads)] if options.threads else [])]
    subprocess.run(["cipherpet", *map(str, words), *common], check=True, stdout=subprocess.DEVNULL)


def run(options, out, files, seed, settings):
    train, valid, key_map = files
    sets = [*SETTINGS, f"data.train={train}", f"data.valid={valid}", f"align.file={key_map}", f"checkpoint.dir={Path(options.bert).resolve()}", *settings]
    empty = write(options.work / "empty.toml", [""])
    cipherpet(options, "run", empty, "--seed", seed, "--out", out, *(word for setting in sets for word in ("--set", setting)))
    return json.loads(lines(out / "metrics.jsonl")[-1])["valid_score"]


def compare(options, name, files, n, seed):
    folder = options.work / "runs" / f"{name}-{n}-{seed}"
    of_generator, epochs = EPOCHS[n]
    simbert = ["objective.name=simbert", f"train.epochs={of_generator}", "train.learning_rate=2e-4", "data.mark_shared=false", "train.batch=32", "train.unlabelled=[]"]
    auc = run(options, folder / "simbert", files, seed, simbert)
    pairs = folder / f"pairs-{options.cosine}"
    cipherpet(options, "augment", folder / "simbert", "--out", pairs, "--cosine", options.cosine, "--seed", seed)
    written = json.loads((pairs / "single.json").read_text())
    rows = sum(len(lines(path)) for path in files[:2])  # those held out join the MLM
    more = epochs * (1 + written["pairs"] / rows)
    pet = [f"train.epochs={epochs}", "data.mark_shared=true"]
    without = run(options, folder / "without", files, seed, pet)
    longer = run(options, folder / f"longer-{options.cosine}", files, seed, [f"train.epochs={round(more)}", "data.mark_shared=true"])
    augmented = run(options, folder / f"with-{options.cosine}", files, seed, [*pet, f"data.augment={pairs.resolve()}"])
    return {"generator": auc, "pairs": written["pairs"], "without": without, "longer": longer, "with": augmented}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ciphers", nargs="+", metavar="NAME=CIPHER,MAP")
    parser.add_argument("--bert", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=list(EPOCHS), choices=list(EPOCHS))
    parser.add_argument("--cosine", type=float, default=0.9)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    columns = ["without", "longer", "with", "generator", "pairs"]
    print("cipher", "rows", "seeds", *(word for column in columns for word in (column, "sd")), sep="\t", flush=True)
    for n in options.rows:
        for given in options.ciphers:
            name, paths = given.split("=", 1)
            cipher, key_map = paths.split(",")
            train, valid = split(lines(cipher))
            folder = options.work / name
            files = (write(folder / f"train-{n}.tsv", train[:n]), write(folder / "valid.tsv", valid), Path(key_map).resolve())
            found = [compare(options, name, files, n, seed) for seed in range(options.seeds)]
            figures = []
            for column in columns:
                values = [one[column] for one in found]
                digits = 0 if column == "pairs" else 4
                figures += [f"{statistics.mean(values):.{digits}f}", f"{statistics.stdev(values):.{digits}f}" if len(values) > 1 else "-"]
            print(name, n, len(found), *figures, sep="\t", flush=True)


if __name__ == "__main__":
    main()
