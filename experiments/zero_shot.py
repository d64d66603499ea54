#!/usr/bin/env python3
"""What next sentence prediction says of rows that nobody trained on, beside few labels and beside the MLM. zero_shot.md has the figures.

    experiments/zero_shot.py plain  --lcqmc DIR --bq FILE --hotel FILE --work DIR
    experiments/zero_shot.py cipher --lcqmc DIR --bq FILE --stsb FILE --plain FILE … --work DIR

`plain` scores 1,000 rows of plain text with 0, 16, 64 and 256 labels of other rows, seeds 0 to 4 (which choose the labelled rows, the
order and dropout), and prints means and standard deviations. `cipher` enciphers pairs, scores the first 1,000 under random, rank, graph
and true maps and under true maps of which a share is shuffled, and prints the AUC of labels and the AUC of the probe, which needs none.
What is done is not done again: the work of each checkpoint lies in a folder of its name. `cipherpet` is taken from the PATH; needs
`tokenizers`. `--labels N …` and `--seeds N` take fewer of them (`--labels` alone: none), `--only NAME …` some of the data, `--shuffled N`
so many shuffled maps a share.
`--bert DIR` is the checkpoint (default: the one inside the tool, in vocab/demo), `--threads N` are those of each command.
"""

import argparse
import json
import random
import statistics
import subprocess
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

HERE = Path(__file__).resolve().parent
JUDGED = 1000
# Passes, so that every number of labels has about 160 steps of 16 rows; then the peak rate.
EPOCHS = {16: 40, 64: 30, 256: 10}
RATE = "1e-4"
HOTEL_TOKENS = 96

PROMPTS = {
    "hotel": 'template = "这家酒店很{}。"\n[[label]]\nname = "1"\nprompt = "好"\n[[label]]\nname = "0"\nprompt = "差"\n',
    # Of pairs: what is said of the first text is that the second means the same, or not.
    "pair": 'text = "{a}"\ntemplate = "和{b}意思{}同"\nside = "suffix"\n'
    '[[label]]\nname = "1"\nprompt = "相"\n[[label]]\nname = "0"\nprompt = "不"\n',
}
SAID = {"1": "这家酒店很好。", "0": "这家酒店很差。"}  # of "hotel", as pairs for training


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def command(options, *words):
    words = ["cipherpet", *map(str, words), "--threads", str(options.threads), "--quiet"]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def zero_shot(options, name, *words):
    """The report, kept in a file."""
    told = options.work / "reports" / f"{name}.json"
    if not told.exists():
        found = command(options, "zero-shot", *words, "--json")
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_bytes(found)
    return json.loads(told.read_text())


def auc(labels, scores):
    """Mann-Whitney, ties at their mid-rank."""
    order = sorted(range(len(scores)), key=lambda row: scores[row])
    ranks, first = [0.0] * len(scores), 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and scores[order[last + 1]] == scores[order[first]]:
            last += 1
        for row in order[first : last + 1]:
            ranks[row] = (first + last) / 2 + 1
        first = last + 1
    positive = sum(labels)
    above = sum(rank for rank, label in zip(ranks, labels) if label) - positive * (positive + 1) / 2
    return above / (positive * (len(labels) - positive))


def figures(labels, scores, cut=0.0):
    right = sum((score >= cut) == bool(label) for label, score in zip(labels, scores))
    return auc(labels, scores), right / len(labels)


def plain_rows(data, options):
    """Rows to judge on and rows to take labels from, in a fixed random order."""
    if data == "lcqmc":
        judged, pool = lines(f"{options.lcqmc}/dev.tsv"), lines(f"{options.lcqmc}/train.tsv")
        for number, rows in enumerate([judged, pool]):
            random.Random(number).shuffle(rows)
        return judged[:JUDGED], pool[:5000]
    rows = lines(options.bq if data == "bq" else options.hotel)
    random.Random(0).shuffle(rows)
    return rows[:JUDGED], rows[JUDGED : JUDGED + 5000]


class Cut:
    """Text cut by the checkpoint's tokenizer, and the map by which every token stands for itself."""

    def __init__(self, options):
        self.tokenizer = BertWordPieceTokenizer(f"{options.bert}/vocab.txt", lowercase=True)
        self.map = options.work / "itself.tsv"
        if not self.map.exists():
            quote = lambda token: '"' + token.replace('"', '""') + '"' if '"' in token else token
            tokens = lines(f"{options.bert}/vocab.txt")
            write(self.map, ["cipher_id\tcount\tplain_token"] + [f"{quote(token)}\t0\t{quote(token)}" for token in tokens])

    def row(self, row):
        *texts, label = row.split("\t")
        cut = [" ".join(self.tokenizer.encode(text, add_special_tokens=False).tokens) or "[UNK]" for text in texts]
        return "\t".join(cut + [label])


def shots(rows, n, seed):
    """n rows, half of each label."""
    drawn = random.Random(1000 + seed).sample(rows, len(rows))
    return [row for label in "01" for row in [row for row in drawn if row.endswith(f"\t{label}")][: n // 2]]


# Name of the way, objective and further settings.
WAYS = {
    "nsp": ["objective.name=nsp", "objective.mlm_weight=0"],
    "ce, fresh head": ["objective.name=ce", "data.mark_shared=false"],
    "ce, fresh head, marks": ["objective.name=ce", "data.mark_shared=true"],
    "ce from the NSP head": ["objective.name=ce", "objective.head_start=nsp", "data.mark_shared=false"],
    "ce from the NSP head, marks": ["objective.name=ce", "objective.head_start=nsp", "data.mark_shared=true"],
}


def few(options, cut, name, kind, tokens, settings, train, test, n, seed):
    """Scores of the rows of `test` after training on `train`."""
    out = options.work / "runs" / f"{name}-{n}-{seed}"
    files = {part: out.with_name(f"{out.name}-{part}.tsv") for part in ["train", "test"]}
    if not (out / "submission.csv").exists():
        for part, rows in [("train", train), ("test", test)]:
            write(files[part], [cut.row(row) for row in rows])
        sets = [f"data.train={files['train']}", f"data.test={files['test']}", "data.valid=none", "data.tokens=text"]
        sets += ["vocab.min_count=1", f"data.max_tokens={tokens}", f"task.kind={kind}", f"checkpoint.dir={options.bert}"]
        sets += ["align.method=file", f"align.file={cut.map}", "train.unlabelled=[]", f"train.epochs={EPOCHS[n]}"]
        sets += ["train.batch=16", f"train.learning_rate={RATE}", "train.save_every_minutes=0", *settings]
        words = [word for setting in sets for word in ("--set", setting)]
        command(options, "run", options.empty, "--seed", seed, "--out", out, *words)
    return [float(line) for line in lines(out / "submission.csv")]


def show(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def spread(values):
    return f"{statistics.mean(values):.3f} ({statistics.stdev(values) if len(values) > 1 else 0:.3f})"


def few_shot_pairs(options, cut, data, judged, pool):
    labels = [int(row[-1]) for row in judged]
    for way, settings in WAYS.items():
        cells = []
        for n in options.labels:
            name = f"{data}-{way.replace(', ', '-').replace(' ', '-')}"
            run = lambda seed: few(options, cut, name, "pair", 64, settings, shots(pool, n, seed), judged, n, seed)
            cells.append(spread([auc(labels, run(seed)) for seed in range(options.seeds)]))
        show(data, way, "AUC", "", *cells)


def few_shot_hotel(options, cut, judged, pool):
    """Every text beside both sentences, label 1 for the true one: by NSP-tuning, row by row or over the two; and by a fresh head on the
    text alone."""
    labels = [int(row[-1]) for row in judged]
    beside = lambda row, said: f"{SAID[said]}\t{row.split(chr(9))[0]}\t{int(row[-1] == said)}"
    by_prompts = {"nsp by prompts": ("hotel-nsp", []), "nsp over candidates": ("hotel-candidates", ["objective.candidates=first"])}
    ways = {way: [] for way in [*by_prompts, "ce, fresh head"]}
    for n in options.labels:
        for seed in range(options.seeds):
            train = shots(pool, n, seed)
            both = [beside(row, said) for row in train for said in "10"]
            asked = [beside(row, said) for row in judged for said in "10"]
            for way, (name, more) in by_prompts.items():
                scores = few(options, cut, name, "pair", HOTEL_TOKENS + 10, [*WAYS["nsp"], *more], both, asked, n, seed)
                ways[way].append((n, figures(labels, [a - b for a, b in zip(scores[::2], scores[1::2])])))
            scores = few(options, cut, "hotel-ce", "single", HOTEL_TOKENS, ["objective.name=ce"], train, judged, n, seed)
            ways["ce, fresh head"].append((n, figures(labels, scores)))
    for way, found in ways.items():
        for at, metric in enumerate(["AUC", "accuracy"]):
            show("hotel", way, metric, "", *[spread([pair[at] for m, pair in found if m == n]) for n in options.labels])


def plain(options):
    cut = Cut(options)
    for name, text in PROMPTS.items():
        write(options.work / f"{name}.toml", [text])
    show("rows", "way", "figure", "0", *options.labels)
    show(*["---"] * (4 + len(options.labels)))
    for data in options.only or ["lcqmc", "bq", "hotel"]:
        judged, pool = plain_rows(data, options)
        file = options.work / f"{data}.tsv"
        write(file, judged)
        kind, prompts, tokens = ("single", "hotel", HOTEL_TOKENS) if data == "hotel" else ("pair", "pair", 64)
        base = [options.empty, "--text", "--pairs", file, "--set", f"checkpoint.dir={options.bert}", "--set", f"data.max_tokens={tokens}"]
        base += ["--set", f"task.kind={kind}"]
        if data != "hotel":
            prior = sum(row[-1] == "1" for row in judged) / len(judged)
            for title, more in [("nsp", []), ("nsp, one order", ["--set", "predict.swap=false"])]:
                found = zero_shot(options, f"{data}-{title.replace(', ', '-').replace(' ', '-')}", *base, *more, "--prior", prior, "--probe")
                show(data, f"{title}: margin of the pair", "AUC", f"{found['figures']['auc']:.3f}", *[""] * len(options.labels))
                show(data, f"{title}: margin of the pair", "accuracy", f"{found['accuracy']:.3f}", *[""] * len(options.labels))
                show(data, f"{title}: margin of the pair", "probe", f"{found['probe_auc']:.3f}", *[""] * len(options.labels))
        for method in ["nsp", "pet"]:
            found = zero_shot(options, f"{data}-prompts-{method}", *base, "--prompts", options.work / f"{prompts}.toml", "--method", method)
            show(data, f"{method}: prompts", "AUC", f"{found['figures']['auc']:.3f}", *[""] * len(options.labels))
            show(data, f"{method}: prompts", "accuracy", f"{found['accuracy']:.3f}", *[""] * len(options.labels))
        if not options.labels:
            continue
        if data == "hotel":
            few_shot_hotel(options, cut, judged, pool)
        else:
            few_shot_pairs(options, cut, data, judged, pool)


def shuffled(key, share, seed, path):
    """The key with a share of its ids exchanged among each other."""
    header, *rows = lines(key)
    ids, tokens = zip(*[row.split("\t")[:2] for row in rows])
    tokens, draw = list(tokens), random.Random(seed)
    moved = [at for at in range(len(tokens)) if draw.random() < share]
    for at, token in zip(moved, draw.sample([tokens[at] for at in moved], len(moved))):
        tokens[at] = token
    write(path, [header] + [f"{id}\t{token}" for id, token in zip(ids, tokens)])


def encipher(data, options):
    """The enciphered pairs, and the key without tokens that the checkpoint does not have."""
    folder = options.work / data
    key = folder / "map-true.tsv"
    if not key.exists():
        if data == "lcqmc":
            rows = lines(f"{options.lcqmc}/dev.tsv")
        elif data == "bq":
            rows = lines(options.bq)[:8800]
        else:
            rows = [row for row in lines(options.stsb)]
        write(folder / f"{data}.tsv", rows)
        command(options, "cipher", "--pairs", folder / f"{data}.tsv", "--checkpoint", options.bert, "--out", folder / "cipher")
        known = set(lines(f"{options.bert}/vocab.txt"))
        header, *rows = lines(folder / "cipher" / "key.tsv")
        write(key, [header] + [row for row in rows if row.split("\t")[1] in known])
    return folder / "cipher" / f"{data}.tsv", key


def cipher(options):
    show("cipher", "map", "AUC of the labels", "AUC of the probe")
    show(*["---"] * 4)
    for data in options.only or ["lcqmc", "bq", "stsb"]:
        file, key = encipher(data, options)
        folder = file.parent.parent
        head = folder / "head.tsv"
        write(head, lines(file)[:JUDGED])
        base = [options.empty, "--pairs", head, "--probe", "--set", f"checkpoint.dir={options.bert}", "--set", "vocab.min_count=1"]
        base += ["--set", f"data.train={file}", "--set", "data.max_tokens=64"]
        base += ["--set", "task.labels=" + ("ordinal" if data == "stsb" else "binary")]
        count = f"align.counts={options.counts}"
        maps = [(f"random {seed}", ["align.method=random", f"seed={seed}"]) for seed in range(options.seeds)]
        maps += [("rank", ["align.method=rank", count])]
        for name, more in [("graph", []), ("graph, refined", ["--refine"])]:
            found = folder / f"map-{name.replace(', ', '-')}.tsv"
            report = folder / f"{found.stem}.json"
            if options.plain and not report.exists():
                words = ["align", "--pairs", file, "--plain", *options.plain, "--checkpoint", options.bert, "--out", found, "--unit", "char"]
                words += ["--set", "vocab.min_count=1", "--key", folder / "cipher" / "key.tsv", "--json", *more]
                report.write_bytes(command(options, *words))
            if report.exists():
                right = json.loads(report.read_text())["token_accuracy"]
                maps.append((f"{name} ({right:.3f} of tokens right)", ["align.method=file", f"align.file={found}"]))
        for share in [0.75, 0.5, 0.25]:
            for seed in range(options.shuffled):
                path = folder / f"map-{share}-{seed}.tsv"
                shuffled(key, share, seed, path)
                maps.append((f"true, {share} of ids shuffled, {seed}", ["align.method=file", f"align.file={path}"]))
        maps += [("true", ["align.method=file", f"align.file={key}"])]
        for name, settings in maps:
            words = [word for setting in settings for word in ("--set", setting)]
            told = f"{data}-{''.join(c if c.isalnum() or c == '.' else '-' for c in name)}"
            found = zero_shot(options, told, *base, *words)
            labels = found["figures"].get("auc", found["figures"].get("spearman"))
            show(data, name, f"{labels:.3f}", f"{found['probe_auc']:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["plain", "cipher"])
    for name in ["lcqmc", "bq", "hotel", "stsb"]:
        parser.add_argument(f"--{name}")
    parser.add_argument("--plain", nargs="+", help="plain text for alignment by graph, without the text that is enciphered")
    parser.add_argument("--bert", default=HERE.parent / "vocab" / "demo", type=Path)
    parser.add_argument("--counts", default=HERE.parent / "vocab" / "demo" / "counts.tsv", type=Path)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--labels", nargs="*", type=int, default=[16, 64, 256])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shuffled", type=int, default=2)
    parser.add_argument("--threads", default=1, type=int)
    options = parser.parse_args()
    options.work = options.work.resolve() / options.bert.resolve().name
    options.work.mkdir(parents=True, exist_ok=True)
    options.empty = options.work / "empty.toml"
    options.empty.write_text("")
    {"plain": plain, "cipher": cipher}[options.part](options)


if __name__ == "__main__":
    main()
