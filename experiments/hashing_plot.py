"""Draws recall@10 against queries a second, as hashing.sh has measured it: hashing_plot.py recall.tsv out.svg (needs matplotlib)."""

import collections
import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = {"graph": "#2a6f97", "lsh": "#888888", "flyhash": "#d9a441", "densefly": "#61a5c2", "biohash": "#c8553d", "exact": "#222222"}

points = collections.defaultdict(list)
notes = {}
rows = 0
with open(sys.argv[1], newline="") as table:
    for row in csv.DictReader(table, delimiter="\t"):
        points[row["index"]].append((float(row["recall_at_10"]), float(row["queries_a_second"])))
        notes[row["index"]] = f"built in {float(row['build_seconds']):,.0f} s, {int(row['megabytes']):,} MB"
        rows = int(row["rows"])

plt.rcParams["svg.hashsalt"] = "cipherpet"
figure, axis = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for index, colour in COLOURS.items():
    if index in points:
        recall, speed = zip(*sorted(points[index]))
        marker, size = ("*", 11) if index == "exact" else ("o", 4)
        axis.plot(recall, speed, color=colour, marker=marker, markersize=size, linewidth=1.3, label=f"{index}: {notes[index]}")
axis.set(xlabel="recall@10", ylabel="queries a second", yscale="log", title=f"{rows:,} vectors")
axis.grid(alpha=0.3)
axis.legend(frameon=False, fontsize=8)
figure.savefig(sys.argv[2], metadata={"Date": None})
