"""Makes metrics.json: targets, scores and the figures that scikit-learn and scipy give for them.

    pip install -r tests/golden/requirements.txt
    python tests/golden/metrics.py         # rewrites metrics.json beside this script

A list of cases: `labels` (as `task.labels` writes it), `width` (scores a row), `targets` (a class, a number or a list of
classes a row), `scores` (rows x width, logits; f32 written exactly) and `figures` by the names of the metrics. Scores lie on a
coarse grid in every second case, so that most of them tie, at the threshold 0 and at halves of a grade too. And `rankings`: which of
the items found are relevant, the nearest first, and the average precision of that.
"""

import json
import math
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.special import expit, softmax
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, average_precision_score, cohen_kappa_score, f1_score, log_loss, roc_auc_score

ROWS = 60
random = np.random.default_rng(9341)


def logits(shape, truth, ties):
    """Noise around the truth; with ties on halves."""
    scores = random.normal(size=shape) + truth
    scores = np.round(scores * 2) / 2 if ties else scores
    return scores.astype(np.float32)


def binary(ties):
    targets = random.integers(0, 2, ROWS)
    scores = logits(ROWS, targets - 0.5, ties)
    said = (scores >= 0).astype(int)
    figures = {
        "auc": roc_auc_score(targets, scores),
        "accuracy": accuracy_score(targets, said),
        "f1": f1_score(targets, said),
        "macro_f1": f1_score(targets, said, average="macro"),
        "log_loss": log_loss(targets, expit(scores.astype(np.float64))),
        "spearman": spearmanr(targets, scores).statistic,
    }
    return "binary", targets, scores[:, None], figures


def classes(ties):
    n = 5
    targets = random.integers(0, n - 1, ROWS)  # the last class is not there
    scores = logits((ROWS, n), 1.5 * np.eye(n)[targets], ties)
    if ties:  # and never said
        scores[:, -1] = scores[:, :-1].min(axis=1)
    said = scores.argmax(axis=1)  # the first of the highest
    names = list(range(n))
    figures = {
        "accuracy": accuracy_score(targets, said),
        "macro_f1": f1_score(targets, said, average="macro"),
        "log_loss": log_loss(targets, softmax(scores.astype(np.float64), axis=1), labels=names),
    }
    return "classes", targets, scores, figures


def multilabel(ties):
    n = 4
    targets = random.random((ROWS, n)) < [0.5, 0.1, 0.8, 0.3]
    targets[:, 3] &= ties  # without ties a label that no row has
    scores = logits((ROWS, n), targets - 0.5, ties)
    both = [label for label in range(n) if 0 < targets[:, label].sum() < ROWS]
    probabilities = expit(scores.astype(np.float64))
    losses = [log_loss(targets[:, label], probabilities[:, label], labels=[0, 1]) for label in range(n)]
    figures = {
        "mean_auc": np.mean([roc_auc_score(targets[:, label], scores[:, label]) for label in both]),
        "mean_log_loss": np.mean(losses),
    }
    return "multilabel", [np.flatnonzero(row).tolist() for row in targets], scores, figures


def ordinal(ties):
    grades = random.integers(0, 6, ROWS)
    targets = grades if ties else (grades + random.normal(size=ROWS) / 8).astype(np.float32)
    scores = logits(ROWS, targets, ties)

    def grade(x):  # halves away from zero
        return int(math.copysign(math.floor(abs(x) + 0.5), x))

    truth = [grade(x) for x in targets]
    said = [min(max(grade(x), min(truth)), max(truth)) for x in scores]
    figures = {
        "spearman": spearmanr(targets, scores).statistic,
        "pearson": pearsonr(targets.astype(np.float64), scores.astype(np.float64)).statistic,
        "kappa": cohen_kappa_score(truth, said, weights="quadratic", labels=range(min(truth), max(truth) + 1)),
    }
    return "ordinal", targets, scores[:, None], figures


cases = []
for make in (binary, classes, multilabel, ordinal):
    for ties in (False, True):
        labels, targets, scores, figures = make(ties)
        cases.append(
            {
                "labels": labels,
                "ties": ties,
                "width": scores.shape[1],
                "targets": np.asarray(targets).tolist() if labels != "multilabel" else targets,
                "scores": scores.astype(np.float64).ravel().tolist(),
                "figures": {name: float(figure) for name, figure in figures.items()},
            }
        )
rankings = []
for relevant in np.random.default_rng(2).random((4, 30)) < np.array([[0.1], [0.3], [0.6], [0.95]]):
    precision = average_precision_score(relevant, -np.arange(len(relevant)))
    rankings.append({"relevant": relevant.tolist(), "average_precision": float(precision)})
made_with = {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "scipy": scipy.__version__}
file = Path(__file__).with_name("metrics.json")
lines, ranked = (",\n".join(json.dumps(case) for case in part) for part in (cases, rankings))
file.write_text(f'{{"made_with": {json.dumps(made_with)}, "cases": [\n{lines}\n], "rankings": [\n{ranked}\n]}}\n')
