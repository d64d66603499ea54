"""Draws recall@10 against queries a second, as hashing.sh has measured it, a panel a table: hashing_plot.py recall.tsv … out.svg
(needs matplotlib)."""

import collections
import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = {"graph": "#2a6f97", "lsh": "#888888", "flyhash": "#d9a441", "densefly": "#61a5c2", "biohash": "#c8553d", "exact": "#222222"}

*tables, out = sys.argv[1:]


def draw(axis, table):
    points = collections.defaultdict(list)
    notes = {}
    rows = 0
    with open(table, newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            points[row["index"]].append((float(row["recall_at_10"]), float(row["queries_a_second"])))
            notes[row["index"]] = f"built in {float(row['build_seconds']):,.0f} s, {int(row['megabytes']):,} MB"
            rows = int(row["rows"])
    for index, colour in COLOURS.items():
        if index in points:
            recall, speed = zip(*sorted(points[index]))
            marker, size = ("*", 11) if index == "exact" else ("o", 4)
            axis.plot(recall, speed, color=colour, marker=marker, markersize=size, linewidth=1.3, label=f"{index}: {notes[index]}")
    axis.set(xlabel="recall@10", yscale="log", title=f"{rows:,} vectors")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))


plt.rcParams["svg.hashsalt"] = "cipherpet"
figure, axes = plt.subplots(1, len(tables), figsize=(5 * len(tables), 5.2), layout="constrained", sharex=True, sharey=True, squeeze=False)
for axis, table in zip(axes[0], tables):
    draw(axis, table)
axes[0][0].set_ylabel("queries a second")
figure.savefig(out, metadata={"Date": None})
