#!/usr/bin/env python3
"""Does the network that refines an alignment know better, where it has not read the text of the cipher?

    experiments/refine.py SOURCE … --plain DIR --work DIR [--bert DIR] [--threads N]

SOURCE is a name in DIR, which holds plain text as SOURCE.txt, one sentence a line. The first 30,000 sentences become a cipher by
character whose key is known; plaintext is up to 40,000 lines of every other source below, none of which is a sentence of this one. Prints the
share of the tokens that the graph puts right, the share after `--refine`, and how many tokens that has moved. What is done is not done
again. The BERT is the one inside the tool, which has read kdconv, crosswoz, cdial_toy and tencent_q alone. `cipherpet` is taken from the
PATH. What came out stands in README.md.
"""

import argparse
import json
import random
import subprocess
from pathlib import Path

SOURCES = ["bq", "lcqmc", "tencent_q", "tcl_voice", "simclue", "qbqtc", "sohu", "kdconv", "crosswoz", "nus_sms_zh"]
CIPHER_LINES, PLAIN_LINES = 30000, 40000


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def write(path, rows):
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def files(options, source):
    """The cipher, its key and the plaintext."""
    folder = options.work / source
    plain, text = options.work / f"{source}-plain.txt", options.work / f"{source}.txt"
    if not folder.exists():
        own = lines(options.plain / f"{source}.txt")
        write(text, own[:CIPHER_LINES])
        others, known = [], set(own)
        for name in SOURCES:
            if name != source:
                rows = [row for row in lines(options.plain / f"{name}.txt") if row not in known]
                random.Random(0).shuffle(rows)
                others += rows[:PLAIN_LINES]
        write(plain, others)
        subprocess.run(["cipherpet", "cipher", "--single", text, "--out", folder, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return folder / text.name, folder / "key.tsv", plain


def told_of(options, source, name):
    """Where the answer is kept of an alignment that starts from this BERT; its map lies beside it, as .tsv."""
    return options.work / f"{source}-{Path(options.bert).resolve().name.rstrip(':')}-{name}.json"


def aligned(options, source, name, *flags):
    """What `align --json` says."""
    told = told_of(options, source, name)
    if not told.exists():
        cipher, key, plain = files(options, source)
        words = ["align", "--pairs", cipher, "--plain", plain, "--key", key, "--checkpoint", options.bert, "--out", told.with_suffix(".tsv"), *flags]
        words += ["--unit", "char", "--set", "task.kind=single", "--set", "vocab.min_count=1", "--threads", str(options.threads), "--json", "--quiet"]
        told.write_bytes(subprocess.run(["cipherpet", *words], check=True, stdout=subprocess.PIPE).stdout)
    return json.loads(told.read_text())


def arguments(documentation):
    """Those of the command line; the folder of the work is there."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--plain", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--bert", default="demo:")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    return options


def main():
    options = arguments(__doc__)
    print("cipher", "graph", "refined", "moved", sep="\t", flush=True)
    for source in options.sources:
        graph, refined = aligned(options, source, "graph"), aligned(options, source, "refined", "--refine")
        shares = [graph["token_accuracy"], refined["token_accuracy"], refined["refinement"]["changed_tokens"]]
        print(source, *(f"{share:.4f}" for share in shares), sep="\t", flush=True)


if __name__ == "__main__":
    main()
