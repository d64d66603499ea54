#!/usr/bin/env python3
"""Do the codes of BioWord know which tokens are alike, better than what stands around them says by itself?

    experiments/bioword.py --pairs CIPHER.tsv --key KEY.tsv --bert DIR --work DIR [--tokens N] [--seed N] [--rate RATE] [--min-count N] [--plain FILE …]

The pairs are a cipher whose key is known (`cipherpet cipher` writes both), so that a token's row in the embedding of a BERT is known too:
which rows are near there is taken for the truth that neither method has seen. For the N most frequent tokens the 10 nearest others are
found by common units of the codes (`cipherpet hash --pairs`), and by the cosine of what stands within two places, as square roots of
counts and as positive pointwise mutual information (PPMI). Prints the share of the 10 nearest that are among the 10 nearest of the BERT,
and the mean cosine that the 10 have there. 
With --plain (text of other sources, one sentence a line; the cipher has one id a character): are common units of codes a graph that helps
to align the two vocabularies? The codes of both sides are learnt apart. The 400 most frequent ids and characters are matched by FAQ, as in
`align.method = "graph"` but with a plainer beginning: by what stands one and two places behind, and with common units as a third graph of
weight 0 (without), 0.1, 0.3, 1 and 3. Prints the share of the ids, and of their occurrences, that find their character.

`cipherpet` is taken from the PATH; needs numpy, scipy and safetensors.
What came out stands in hashing.md.
"""

import argparse
import random
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import linear_sum_assignment

NEAREST = 10
REACH = 2
HEAD = 400
CIPHER_PAIRS = 20000
PLAIN_LINES = 60000


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def embedding(bert):
    weights = load_file(Path(bert, "model.safetensors"))
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    rows = {token: number for number, token in enumerate(lines(Path(bert, "vocab.txt")))}
    return rows, weights[name].astype(np.float32)


def units(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def contexts(sentences, number, n):
    """How often each token stands within REACH places of each of the first n."""
    counts = np.zeros((n, n + 1), dtype=np.float32)  # last: all other tokens
    for sentence in sentences:
        ids = [number.get(token, n) for token in sentence]
        for at, token in enumerate(ids):
            if token < n:
                for other in ids[max(0, at - REACH) : at] + ids[at + 1 : at + 1 + REACH]:
                    counts[token, other] += 1
    return counts


def ppmi(counts):
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.maximum(np.log(counts / expected), 0), nan=0, posinf=0)


def nearest(scores):
    scores = scores.copy()
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]


def codes_of(texts, name, options):
    """Token to the units of its code, from sentences of tokens."""
    table = options.work / f"{name}-{options.seed}.tsv"
    if not table.exists():
        file = options.work / f"{name}.txt"
        file.write_text("".join(" ".join(f"u{token}" for token in text) + "\n" for text in texts), encoding="utf-8")
        subprocess.run(["cipherpet", "hash", "--pairs", file, "--set", "data.tokens=text", "--set", "task.kind=single", "--min-count", "5", "--seed", str(options.seed), "--out", table], check=True, stdout=subprocess.DEVNULL)
    rows = (line.split("\t") for line in lines(table)[1:])
    return {token[1:]: [int(unit) for unit in code.split()] for token, _, code in rows}


def side(texts, codes):
    """The HEAD most frequent tokens, their counts, and their graphs: centred counts one and two places on, centred common units."""
    counts = Counter(token for text in texts for token in text)
    head = [token for token, _ in counts.most_common() if token in codes][:HEAD]
    number = {token: at for at, token in enumerate(head)}
    n = np.array([counts[token] for token in head], dtype=np.float64)
    total = sum(counts.values())
    boundary = np.zeros((HEAD, 2))
    graphs, columns = [], []
    for offset in (1, 2):
        seen = np.zeros((HEAD, HEAD))
        for text in texts:
            ids = [number.get(token, -1) for token in text]
            for a, b in zip(ids, ids[offset:]):
                if a >= 0 and b >= 0:
                    seen[a, b] += 1
            if offset == 1 and ids:
                boundary[ids[0], 0] += ids[0] >= 0
                boundary[ids[-1], 1] += ids[-1] >= 0
        for counts_beside in (seen, seen.T):
            shares = counts_beside / np.maximum(counts_beside.sum(1, keepdims=True), 1)
            columns.append(0.5 * -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1))
        graphs.append(np.sqrt(seen) - 0.7 * np.sqrt(np.outer(n, n) / total))
    ones = np.zeros((HEAD, 1 + max(unit for code in codes.values() for unit in code)))
    for at, token in enumerate(head):
        ones[at, codes[token]] = 1
    common = ones @ ones.T
    common -= common.mean()
    np.fill_diagonal(common, 0)
    graphs.append(common)
    columns = [column - column.mean() for column in columns + [np.log((beside + 5) / (n + 50)) for beside in boundary.T]]
    profile = np.column_stack([2 * np.log(n / total), *columns])
    return head, n, [graph / np.linalg.norm(graph) for graph in graphs], profile


def faq(pairs, logarithms):
    """The plain number of each cipher number: Frank-Wolfe over doubly stochastic matrices (Vogelstein et al. 2015)."""
    p = np.exp(logarithms)
    for _ in range(50):
        p /= p.sum(1, keepdims=True)
        p /= p.sum(0, keepdims=True)
    gradient = lambda p: sum(a @ p @ b.T + a.T @ p @ b for a, b in pairs)
    at_p = gradient(p)
    for _ in range(60):
        q = np.zeros_like(p)
        q[linear_sum_assignment(-at_p)] = 1
        at_q = gradient(q)
        slope = (at_p * (q - p)).sum()
        curve = 0.5 * ((at_q - at_p) * (q - p)).sum()
        step = min(1, max(0, -slope / (2 * curve))) if curve < 0 else 1
        p, at_p = p + step * (q - p), at_p + step * (at_q - at_p)
        if step * slope + step * step * curve <= 1e-6 * (at_p * p).sum() / 2:
            break
    return linear_sum_assignment(-p)[1]


def third_graph(options, texts, plain):
    key = {row[0]: row[1] for row in (line.split("\t") for line in lines(options.key)[1:])}
    ours, n, ours_graphs, ours_profile = side(texts, codes_of(texts, f"cipher-{Path(options.pairs).stem}", options))
    theirs, _, theirs_graphs, theirs_profile = side(plain, codes_of(plain, "-".join(["plain", *(Path(path).stem for path in options.plain)]), options))
    logarithms = -np.abs(ours_profile[:, None] - theirs_profile[None]).sum(2)
    possible = np.array([key[token] in theirs for token in ours])
    for weight in (0, 0.1, 0.3, 1, 3):
        pairs = [(weight * a, b) if at == 2 else (a, b) for at, (a, b) in enumerate(zip(ours_graphs, theirs_graphs))]
        found = faq(pairs, logarithms)
        right = np.array([key[a] == theirs[b] for a, b in zip(ours, found)])
        print(f"third graph {weight:<4} {right.sum() / possible.sum():.3f} of the ids that can be found, {n[right].sum() / n[possible].sum():.3f} of their occurrences", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--bert", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1)
    parser.add_argument("--min-count", type=int, default=1)
    parser.add_argument("--plain", nargs="+")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    table = options.work / f"codes-{Path(options.pairs).stem}-{options.seed}-{options.rate}-{options.min_count}.tsv"
    if not table.exists():
        subprocess.run(["cipherpet", "hash", "--pairs", options.pairs, "--seed", str(options.seed), "--rate", str(options.rate), "--min-count", str(options.min_count), "--out", table], check=True, stdout=subprocess.DEVNULL)
    row_of, rows = embedding(options.bert)
    plain = dict(line.split("\t")[:2] for line in lines(options.key)[1:])
    codes = [line.split("\t") for line in lines(table)[1:]]
    codes = [(token, code) for token, _, code in codes if plain.get(token) in row_of][: options.tokens]
    number = {token: at for at, (token, _) in enumerate(codes)}
    n = len(codes)
    ones = np.zeros((n, 1 + max(int(unit) for _, code in codes for unit in code.split())), dtype=np.float32)
    for at, (_, code) in enumerate(codes):
        ones[at, [int(unit) for unit in code.split()]] = 1
    counts = contexts((text.split() for line in lines(options.pairs) for text in line.split("\t")[:2]), number, n)
    truth = units(rows[[row_of[plain[token]] for token, _ in codes]])
    cosines = truth @ truth.T
    near = nearest(cosines)
    methods = {"BioWord, common units": ones @ ones.T}
    for name, features in [("square roots of counts", np.sqrt(counts)), ("PPMI", ppmi(counts))]:
        methods[f"{name}, cosine"] = units(features) @ units(features).T
    print(f"{n} tokens")
    found = {name: nearest(scores) for name, scores in methods.items()}
    for name, others in found.items():
        common = np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(others, near)])
        cosine = np.take_along_axis(cosines, others, axis=1).mean()
        print(f"{name:<32} {common:.3f} of the BERT's nearest   mean cosine {cosine:.3f}")
    off_diagonal = cosines[~np.eye(n, dtype=bool)].mean()
    print(f"{'any two tokens':<32} {NEAREST / (n - 1):.3f}                         mean cosine {off_diagonal:.3f}")


    if options.plain:
        texts = [text.split() for line in lines(options.pairs)[:CIPHER_PAIRS] for text in line.split("\t")[:2]]
        plain = [[char for char in line.lower() if char.isprintable() and not char.isspace()] for path in options.plain for line in lines(path)]
        third_graph(options, texts, random.Random(0).sample(plain, min(PLAIN_LINES, len(plain))))


if __name__ == "__main__":
    main()
