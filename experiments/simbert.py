#!/usr/bin/env python3
"""SimBERT on LCQMC in plain text: retrieval and similarity, beside TF-IDF and the BERT it starts from. simbert.toml has the question.

    experiments/simbert.py --lcqmc DIR --bert DIR --work DIR [--set KEY=VALUE …] [--queries N] [--threads N] [--only NAME …]

`--lcqmc` has train.tsv, dev.tsv and test.tsv (text, text, label); `--bert` is a Hugging Face folder of a Chinese BERT with vocab.txt.
Cuts the text into the BERT's tokens, trains (`cipherpet run`, what is done is not done again), and prints

  retrieval   for each positive pair (a, b) of dev and test: is b among the 1 or 10 nearest of all distinct sentences of the three
              files but a itself? By cosine of SimBERT's vectors, of TF-IDF of 1- and 2-grams of characters, and of the means of the
              BERT's last states.
  accuracy    of dev and test by cosine > threshold, at 0.9 and at the best threshold of dev.

`--queries N` takes the first N positive pairs. `cipherpet` is taken from the PATH; needs numpy and scikit-learn.
"""

import argparse
import csv
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

HERE = Path(__file__).resolve().parent
K = 10
LONGEST = 126  # tokens: the positions of the network, without [CLS] and [SEP]


class WordPiece:
    """BERT's tokenizer, uncased. A word that it does not know stays whole."""

    def __init__(self, folder):
        self.known = set(Path(folder, "vocab.txt").read_text(encoding="utf-8").split("\n"))

    def words(self, text):
        word = ""
        for char in unicodedata.normalize("NFD", text.lower()):
            category = unicodedata.category(char)
            if category == "Mn":
                continue
            if char.isspace() or category[0] == "C":
                yield word
                word = ""
            elif category[0] in "PSZ" or "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\uff00" <= char:
                yield word
                yield "“" if char == '"' else char  # a quote would quote a field
                word = ""
            else:
                word += char
        yield word

    def pieces(self, word):
        begin, found = 0, []
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = (end for end in range(len(word), begin, -1) if prefix + word[begin:end] in self.known)
            end = next(ends, None)
            if end is None:
                return [word]
            found.append(prefix + word[begin:end])
            begin = end
        return found

    def line(self, text):
        return " ".join(piece for word in self.words(text) if word for piece in self.pieces(word))


def read(path):
    rows = (line.split("\t") for line in Path(path).read_text(encoding="utf-8").rstrip("\n").split("\n"))
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def cipherpet(*words):
    subprocess.run(["cipherpet", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def prepare(options):
    """The files of the run, and all distinct sentences with their tokens."""
    data, cut = options.work / "data", WordPiece(options.bert)
    rows = {name: read(Path(options.lcqmc, f"{name}.tsv")) for name in ["train", "dev", "test"]}
    tokens = {}
    for a, b, _ in (row for part in rows.values() for row in part):
        for text in (a, b):
            if text not in tokens:
                tokens[text] = cut.line(text)
    for name, part in rows.items():
        rows[name] = [row for row in part if tokens[row[0]] and tokens[row[1]]]
        write(data / f"{name}.tsv", [f"{tokens[a]}\t{tokens[b]}\t{label}" for a, b, label in rows[name]])
    types = sorted({token for line in tokens.values() for token in line.split()} & cut.known)
    write(data / "map.tsv", ["cipher_id\tplain_token"] + [f"{token}\t{token}" for token in types])
    sentences = [text for text in tokens if tokens[text]]
    write(data / "sentences.txt", [" ".join(tokens[text].split()[:LONGEST]) for text in sentences])
    write(data / "plain.txt", [text if len(tokens[text].split()) <= LONGEST else text[: LONGEST - 6] for text in sentences])
    return rows, sentences


def train(options):
    run = options.work / "run"
    settings = [f"data.{key}={options.work.resolve() / 'data' / name}" for key, name in [("train", "train.tsv"), ("valid", "dev.tsv")]]
    settings += [f"align.file={options.work.resolve() / 'data' / 'map.tsv'}", f"checkpoint.dir={Path(options.bert).resolve()}"]
    sets = [word for setting in settings + options.set for word in ("--set", setting)]
    subprocess.run(["cipherpet", "run", str(HERE / "simbert.toml"), "--out", str(run), *options.common, *sets], check=True, stdout=subprocess.DEVNULL)
    return run


def recall(name, nearest, pairs):
    """Of (query, wanted) numbers, and the numbers of the K + 1 nearest of each query, the query among them."""
    hits = {1: 0, K: 0}
    for (query, wanted), found in zip(pairs, nearest):
        found = [number for number in found if number != query][:K]
        for k in hits:
            hits[k] += wanted in found[:k]
    shares = "  ".join(f"recall@{k} {hits[k] / len(pairs):.4f}" for k in hits)
    print(f"{name:<28}{shares}", flush=True)


def by_search(name, model, lines, pairs, options, *flags):
    """By `cipherpet embed` and `cipherpet search`."""
    folder = options.work / name.split()[0].strip(",").lower()
    texts = Path(lines).read_text(encoding="utf-8").rstrip("\n").split("\n")
    write(folder / "queries.txt", [texts[query] for query, _ in pairs])
    vectors, found = folder / "vectors.npy", folder / "found.tsv"
    cipherpet("embed", model, "--text", lines, "--out", vectors, *flags, *options.common)
    cipherpet("search", model, "--text", lines, "--vectors", vectors, "--queries", folder / "queries.txt", "--k", K + 1, "--out", found, *flags, *options.common)
    nearest = [[] for _ in pairs]
    with open(found, encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            nearest[int(row["query"]) - 1].append(int(row["line"]) - 1)
    recall(name, nearest, pairs)


def by_tfidf(sentences, pairs):
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    vectors = vectorizer.fit_transform(sentences)
    transposed, nearest = vectors.T.tocsc(), []
    for begin in range(0, len(pairs), 100):
        queries = vectors[[query for query, _ in pairs[begin : begin + 100]]]
        scores = (queries @ transposed).toarray()
        best = np.argpartition(-scores, K + 1, axis=1)[:, : K + 1]
        nearest += [row[np.argsort(-score[row], kind="stable")].tolist() for row, score in zip(best, scores)]
    recall("TF-IDF", nearest, pairs)


def accuracy(run, rows, options):
    scores = {}
    for name in ["dev", "test"]:
        out = options.work / f"{name}-scores.csv"
        cipherpet("predict", run, "--pairs", options.work / "data" / f"{name}.tsv", "--out", out, *options.common)
        labels = np.array([int(label) for _, _, label in rows[name]])
        scores[name] = (np.array([float(line.split(",")[-1]) for line in out.read_text().splitlines()][-len(labels) :]), labels)
    cosines, labels = scores["dev"]
    at = lambda threshold, cosines, labels: float(((cosines > threshold) == (labels == 1)).mean())
    best = max(np.unique(cosines), key=lambda threshold: at(threshold, cosines, labels))
    for name, (cosines, labels) in scores.items():
        print(f"accuracy of {name:<16}> 0.9: {at(0.9, cosines, labels):.4f}   > {best:.3f}, the best of dev: {at(best, cosines, labels):.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lcqmc", required=True)
    parser.add_argument("--bert", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--queries", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="+", default=["simbert", "bert", "tfidf", "accuracy"])
    options = parser.parse_args()
    options.common = ["--threads", str(options.threads)] if options.threads else []
    rows, sentences = prepare(options)
    run = train(options) if {"simbert", "accuracy"} & set(options.only) else None
    number = {text: at for at, text in enumerate(sentences)}
    positives = [(number[a], number[b]) for name in ["dev", "test"] for a, b, label in rows[name] if label == "1"]
    pairs = [(a, b) for a, b in positives if a != b][: options.queries]
    print(f"{len(sentences)} sentences, {len(pairs)} queries")
    data = options.work / "data"
    if "simbert" in options.only:
        by_search("SimBERT", run, data / "sentences.txt", pairs, options)
    if "bert" in options.only:
        by_search("BERT, mean of the states", options.bert, data / "plain.txt", pairs, options, "--pooling", "mean")
    if "tfidf" in options.only:
        by_tfidf(sentences, pairs)
    if "accuracy" in options.only:
        accuracy(run, rows, options)


if __name__ == "__main__":
    main()
