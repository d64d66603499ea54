#!/usr/bin/env python3
"""TF-IDF of 1- and 2-grams with a linear model: what a desensitised task gives without any network.

    experiments/tfidf.py FILE {pair|single} {binary|classes|multilabel|ordinal} [VALID]

Reads `ids[<TAB>ids]<TAB>label` (several labels with commas), learns from the rows i mod 10 > 0, and prints the figures on the
others as one JSON object; with the file VALID it learns from all rows, and the figures are those of VALID. Logistic regression, for ordinals ridge regression. Of a pair the features are |a - b| and a * b of its
two rows of TF-IDF, and their cosine. C (or alpha) is chosen on the rows i mod 10 = 5, out of training meanwhile. Needs scikit-learn.
"""

import json
import sys

import numpy as np
from scipy.sparse import csr_matrix, hstack
from scipy.stats import pearsonr, spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

if len(sys.argv) not in (4, 5):
    sys.exit(__doc__)
path, kind, labels, *valid = sys.argv[1:]
files = [[line.rstrip("\n").split("\t") for line in open(file, encoding="utf-8")] for file in [path, *valid]]
rows = [row for file in files for row in file]
n_texts = 2 if kind == "pair" else 1
number = np.arange(len(rows))
held_out = number >= len(files[0]) if valid else number % 10 == 0
tuning = (number % 10 == 5) & ~held_out

if labels == "multilabel":
    truth = MultiLabelBinarizer().fit_transform([[name for name in row[n_texts].split(",") if name] for row in rows])
elif labels == "classes":
    truth = np.array([row[n_texts] for row in rows])
else:
    truth = np.array([float(row[n_texts]) for row in rows])


def features(fitted_on):
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\S+")
    texts = [row[i] for row, fits in zip(rows, fitted_on) if fits for i in range(n_texts)]
    vectorizer.fit(texts)
    sides = [vectorizer.transform([row[i] for row in rows]) for i in range(n_texts)]
    if kind == "single":
        return sides[0]
    product = sides[0].multiply(sides[1])
    return hstack([abs(sides[0] - sides[1]), product, csr_matrix(product.sum(axis=1))]).tocsr()


def model(strength):
    if labels == "ordinal":
        return Ridge(alpha=1 / strength)
    one = LogisticRegression(C=strength, max_iter=2000)
    return OneVsRestClassifier(one) if labels == "multilabel" else one


def figures(strength, train, test):
    x = features(train)
    fitted = model(strength).fit(x[train], truth[train])
    x, y = x[test], truth[test]
    if labels == "ordinal":
        said = fitted.predict(x)
        return {"spearman": spearmanr(y, said).statistic, "pearson": pearsonr(y, said).statistic}
    if labels == "classes":
        said = fitted.predict(x)
        return {"macro_f1": f1_score(y, said, average="macro"), "accuracy": accuracy_score(y, said)}
    if labels == "multilabel":
        return {"mean_auc": roc_auc_score(y, fitted.predict_proba(x), average="macro")}
    return {"auc": roc_auc_score(y, fitted.decision_function(x)), "accuracy": accuracy_score(y, fitted.predict(x))}


tried = {strength: figures(strength, ~held_out & ~tuning, tuning) for strength in [0.3, 1, 3, 10, 30]}
best = max(tried, key=lambda strength: next(iter(tried[strength].values())))
print(json.dumps({"strength": best, **figures(best, ~held_out, held_out)}))
