#!/usr/bin/env python3
"""Is the confidence of a pair of an alignment the chance that it is right, on text that it was not fitted to?

    experiments/confidence.py SOURCE … --plain DIR --work DIR [--threads N]

Aligns the ciphers of refine.py (the same files: what that has made in the same DIR is not made again) and looks at each id: its margin,
whether the pair is mutual, its count, its confidence, and by the key whether it is right. Prints for each source, by tokens, the
share that is right, then mean confidence and expected calibration error (ten bins of equally many tokens) three times: with the weights inside
the tool; with weights that do not know the stability of the search (do two starts end in the same map?), fitted to the other sources whose share
`align` can tell; and with weights for all figures, fitted to all other sources. The weights of both fits to all sources come last. The tool has the second of
them, so what a new source gets is the last column, not the first. Needs `cipherpet` on the PATH, numpy and scipy. What came
out stands in README.md.
"""

import csv

import numpy as np
from refine import aligned, arguments, files, told_of
from scipy.optimize import minimize
from scipy.special import expit

# src/align/graph/quality.rs: constant, margin, mutual, logarithm of the count, stability.
INSIDE = np.array([-10.96, 9.19, 0.99, 0.60, 8.32])
# The figures of an id that a fit sees: without the stability, or all.
WITHOUT, WITH = slice(0, 4), slice(0, 5)
BINS = 10


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def pairs(options, source):
    """Figures of each id, whether it is right, and its count; and whether `align` tells a share."""
    report = aligned(options, source, "graph")
    key = {row["cipher_id"]: row["plain_token"] for row in table(files(options, source)[1])}
    rows = [row for row in table(told_of(options, source, "graph").with_suffix(".tsv")) if row["margin"]]
    count = np.array([row["count"] for row in rows], float)
    margin = np.clip(np.array([row["margin"] for row in rows], float), -0.5, 0.5)
    mutual = np.array([row["mutual"] for row in rows], float)
    stability = np.full(len(rows), report["stability"])
    figures = np.column_stack([np.ones(len(rows)), margin, mutual, np.minimum(np.log(count), 8.0), stability])
    right = np.array([key[row["cipher_id"]] == row["plain_token"] for row in rows], float)
    return figures, right, count, report["expected_accuracy"] is not None


def fitted(known, columns):
    """Logistic weights; an id weighs the root of its count, and every source the same."""
    figures = np.concatenate([source[0][:, columns] for source in known])
    right = np.concatenate([source[1] for source in known])
    weight = np.concatenate([np.sqrt(source[2]) / np.sqrt(source[2]).sum() for source in known])

    def loss(by):
        sums = figures @ by
        return weight @ (np.logaddexp(0.0, sums) - right * sums), figures.T @ (weight * (expit(sums) - right))

    return minimize(loss, np.zeros(figures.shape[1]), jac=True, method="BFGS").x


def calibration_error(confidence, right, count):
    """Mean distance of confidence and share that is right over bins of equally many tokens; an id is whole in one bin."""
    order = np.argsort(confidence, kind="stable")
    middle = np.cumsum(count[order]) - count[order] / 2
    bins = np.minimum((middle / count.sum() * BINS).astype(int), BINS - 1)
    difference = np.bincount(bins, count[order] * (confidence - right)[order], BINS)
    return np.abs(difference).sum() / count.sum()


def main():
    options = arguments(__doc__)
    found = {source: pairs(options, source) for source in options.sources}

    def fits(left_out):
        """The weights of both fits to the other sources."""
        others = [source for name, source in found.items() if name != left_out]
        return (fitted([source for source in others if source[3]], WITHOUT), WITHOUT), (fitted(others, WITH), WITH)

    print("cipher", "told", "right", *(f"{what} {of}" for of in ("inside", "without stability", "with stability") for what in ("mean", "error")), sep="\t")
    for source, (figures, right, count, told) in found.items():
        shares = [count @ right / count.sum()]
        for weights, columns in ((INSIDE, WITH), *fits(source)):
            confidence = expit(figures[:, columns] @ weights)
            shares += [count @ confidence / count.sum(), calibration_error(confidence, right, count)]
        print(source, "yes" if told else "no", *(f"{share:.3f}" for share in shares), sep="\t")
    for weights, _ in fits(None):
        print("weights", *(f"{weight:.2f}" for weight in weights), sep="\t")


if __name__ == "__main__":
    main()
