"""Draws the learning curves that alignment.sh has measured: alignment_plot.py results.tsv out.svg (needs matplotlib)."""

import collections
import csv
import math
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

STARTS = {"scratch": "#888888", "random": "#d9a441", "rank": "#c8553d", "graph": "#2a6f97", "soft": "#61a5c2", "key": "#2d6a4f"}
PANELS = {"held_out_auc": "AUC, training rows held out", "dev_auc": "AUC, dev", "mlm_loss": "MLM loss"}

values = collections.defaultdict(list)
with open(sys.argv[1], newline="") as table:
    for row in csv.DictReader(table, delimiter="\t"):
        for panel in PANELS:
            value = float(row[panel])
            if not math.isnan(value):
                values[panel, row["start"], int(row["rows"])].append(value)

plt.rcParams["svg.hashsalt"] = "cipherpet"
figure, axes = plt.subplots(1, len(PANELS), figsize=(12, 3.8), layout="constrained")
sizes = sorted({rows for _, _, rows in values})
for axis, (panel, title) in zip(axes, PANELS.items()):
    for number, (start, colour) in enumerate(STARTS.items()):
        measured = [rows for rows in sizes if (panel, start, rows) in values]
        seeds = [values[panel, start, rows] for rows in measured]
        means = [statistics.mean(seed) for seed in seeds]
        # Spread over seeds; shifted a little so that bars do not hide each other.
        shifted = [rows * 1.04 ** (number - 2.5) for rows in measured]
        bars = [[mean - min(s) for mean, s in zip(means, seeds)], [max(s) - mean for mean, s in zip(means, seeds)]]
        axis.errorbar(shifted, means, bars, color=colour, label=start, marker="o", markersize=3.5, linewidth=1.3)
    axis.set(title=title, xscale="log", xlabel="labelled rows", xticks=sizes)
    axis.set_xticks(sizes, [f"{rows:,}" for rows in sizes])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
axes[0].legend(frameon=False, fontsize=8)
figure.savefig(sys.argv[2], metadata={"Date": None})
