#!/usr/bin/env python3
"""What is each trick worth in the same minutes?

    experiments/ablation.py --train TRAIN.tsv --test TEST.tsv --bert DIR --counts COUNTS.tsv --work DIR [--map MAPPING.tsv] [--other-bert DIR]
        [--minutes 15] [--seeds 1] [--only CELL ...]

Every cell is a recipe of joint MLM and label training (4 x 256) on the labelled rows, or something else in its place. Its speed is
measured by a short run, and it then gets as many steps as fit into the minutes, so that its learning rate falls to 0 at their end. Runs
use one thread: start two of these side by side with other --only, and nothing else. Prints validation AUC (rows i mod 10), steps and
minutes. The seeds of a cell share its MLM stage, whose minutes and steps count for each of them: their spread lacks that of this stage. A cell
that fails says why on stderr and the next one goes on; the exit status is 1 then. The cells "graph map" and "another BERT" want --map (what `cipherpet align` writes) and --other-bert, and are left out without. Other sizes
begin from fresh values: hold them against "scratch". `cipherpet` is taken from the PATH; nothing beside Python is needed. What is done is not done again.
What came out so far stands in README.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

SPEED_STEPS = 150
SPEED_TEST_ROWS = 500
SWA_EPOCHS = 2
BASE = ["vocab.min_count=5", "data.max_tokens=32", "train.learning_rate=6e-4", "train.unlabelled=[]"]
ALL_ROWS = 'rows=["labelled", "test", "valid"]'

# Name: settings, or stages as (share of the minutes, settings).
CELLS = {
    "joint": [],
    "unlabelled rows too": ['train.unlabelled=["test", "valid"]'],
    "no marks": ["data.mark_shared=false"],
    "rate 1e-4": ["train.learning_rate=1e-4"],
    "rate 3e-4": ["train.learning_rate=3e-4"],
    "rate 1e-3": ["train.learning_rate=1e-3"],
    "batch 32": ["train.batch=32"],
    "batch 128": ["train.batch=128"],
    "scratch": ["align.method=scratch"],
    "graph map": ["align.method=file", "align.file={map}"],
    "another BERT": ["checkpoint.dir={other_bert}"],
    "no swap at prediction": ["predict.swap=false"],
    "mask 5 %": ["objective.mask=0.05"],
    "mask 30 %": ["objective.mask=0.3"],
    "n-gram masks": ["objective.mask_unit=ngram"],
    "PMI masks": ["objective.mask_unit=pmi"],
    "similar tokens": ["objective.mask_replacement=similar"],
    "FGM": ["train.adversarial=fgm"],
    "PGD": ["train.adversarial=pgd"],
    "R-Drop": ["train.r_drop=1"],
    "EMA": ["train.average=ema"],
    "SWA": ["train.average=swa", f"train.average_epochs={SWA_EPOCHS}"],
    "dropout samples": ["train.dropout_samples=4"],
    "label smoothing": ["train.label_smoothing=0.1"],
    "layer decay": ["train.layer_decay=0.9"],
    "closure": ["data.transitive_closure=true"],
    "MLM 15 %": [(0.15, ["objective=mlm", ALL_ROWS]), (0.85, ["objective=pet"])],
    "MLM 50 %": [(0.5, ["objective=mlm", ALL_ROWS]), (0.5, ["objective=pet"])],
    "MLM 70 %": [(0.7, ["objective=mlm", ALL_ROWS]), (0.3, ["objective=pet"])],
    "MLM 85 %": [(0.85, ["objective=mlm", ALL_ROWS]), (0.15, ["objective=pet"])],
    "last stage CE": [(0.8, ["objective=pet"]), (0.2, ["objective=ce", 'rows=["labelled"]', "learning_rate=1e-4"])],
    "last stage CoSENT": [(0.8, ["objective=pet"]), (0.2, ["objective=cosent", 'rows=["labelled"]', "learning_rate=1e-4"])],
    "6 x 384": ["align.method=scratch", "model.layers=6", "model.hidden=384", "model.heads=6", "model.intermediate=1536"],
    "4 x 512": ["align.method=scratch", "model.layers=4", "model.hidden=512", "model.heads=8", "model.intermediate=2048"],
}

# A step of these costs what one of "joint" does: they get as many, since a short measurement is off by some percent.
AS_JOINT = {"no marks", "rate 1e-4", "rate 3e-4", "rate 1e-3", "scratch", "graph map", "another BERT", "no swap at prediction", "label smoothing"}


class Failed(Exception):
    """A run that has failed."""


def experiment(options, stages, test):
    """An experiment file with these stages, whose settings are lists of KEY=VALUE; none: one stage."""
    text = f"""[data]
train = ["{options.train.resolve()}"]
test = "{test.resolve()}"
[checkpoint]
dir = "{options.bert.resolve()}"
[align]
method = "rank"
counts = "{options.counts.resolve()}"
"""
    for number, settings in enumerate(stages, 1):
        text += f'[[stage]]\nname = "stage{number}"\n'
        for setting in settings:
            key, value = setting.split("=", 1)
            quoted = value if value[0] in "[0123456789" else f'"{value}"'
            text += f"{key} = {quoted}\n"
    return text


def run(out, options, stages, sets, seed, test=None):
    """Trains in `out`, unless it is done; the result in its manifest. `test`: another file in the place of --test."""
    file = out.with_name(f"{out.name}.toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(experiment(options, stages, test or options.test), encoding="utf-8")
    command = ["cipherpet", "run", file, "--quiet", "--threads", "1", "--seed", str(seed), "--out", out]
    for setting in sets:
        command += ["--set", setting]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"{out}: {done.stderr}")
    return json.loads((out / "manifest.json").read_text())["result"]


def speeds(name, stages, sets, options):
    """The share of the minutes of each stage, and its steps a second in a few of them. Tokens a second would not do: R-Drop counts a row twice."""
    found = []
    few = options.work / "speed" / "test.tsv"  # to score all of them would take longer than the steps
    few.parent.mkdir(parents=True, exist_ok=True)
    few.write_text("".join(options.test.read_text(encoding="utf-8").splitlines(keepends=True)[:SPEED_TEST_ROWS]), encoding="utf-8")
    # A mean over epochs costs next to nothing a step, and wants more of them than this.
    sets = [setting for setting in sets if not setting.startswith(("train.average=swa", "train.average_epochs="))]
    for number, (share, settings) in enumerate(stages or [(1.0, [])], 1):
        out = options.work / "speed" / f"{name}-{number}" / "run"  # alone: a stage that looks at no label lies beside the run
        # A stage that looks at no label cannot be the last.
        last = [["objective=pet", "max_steps=1"]] if settings[:1] == ["objective=mlm"] else []
        limit = "stage.stage1.max_steps" if stages else "train.max_steps"
        result = run(out, options, [settings, *last] if stages else [], [*sets, f"{limit}={SPEED_STEPS}", "data.valid=none"], 0, few)
        stage = result.get("shared_stage") or json.loads((out / "metrics.jsonl").read_text())
        found.append((share, stage["steps"] / stage["seconds"]))
    return found


def whole(result, key):
    """A figure of a run with that of the stage beside it."""
    return result[key] + result.get("shared_stage", {}).get(key, 0)


def measure(name, cell, options, rows):
    """The results of a cell, one a seed; none where the minutes are too few for it. `rows`: of an epoch."""
    is_staged = bool(cell) and isinstance(cell[0], tuple)
    stages, own = (cell, []) if is_staged else ([], cell)
    sets = [*BASE, *own]
    timed, timed_sets = ("joint", BASE) if name in AS_JOINT else (name, sets)
    batch = next((int(setting.split("=")[1]) for setting in own if setting.startswith("train.batch=")), 64)
    slug, timed = (text.replace(" ", "-").replace("%", "percent") for text in (name, timed))
    limits = []
    for number, (share, steps) in enumerate(speeds(timed, stages, timed_sets, options), 1):
        n = max(1, int(options.minutes * 60 * share * steps))
        if "train.average=swa" in own and n * batch < (SWA_EPOCHS + 1) * rows:
            print(f"{name}: left out, as {options.minutes:g} minutes are fewer than {SWA_EPOCHS + 1} epochs", file=sys.stderr)
            return []
        key = f"stage.stage{number}" if stages else "train"
        limits += [f"{key}.max_steps={n}", f"{key}.epochs={1 + n * batch // rows}"]
    out = options.work / "runs" / f"{slug}-{options.minutes:g}-minutes"
    return [run(out.with_name(f"{out.name}-{seed}"), options, [settings for _, settings in stages], [*sets, *limits], seed) for seed in range(options.seeds)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "test", "bert", "counts", "work"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--other-bert", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=CELLS, default=list(CELLS))
    options = parser.parse_args()
    least_rows = len(options.train.read_text().splitlines()) * 9 // 10  # of an epoch: the labelled rows that are not validated
    print("cell", "AUC", "sd", "steps", "minutes", sep="\t", flush=True)
    has_failed = False
    for name in options.only:
        cell = CELLS[name]
        wanted = {"graph map": options.map, "another BERT": options.other_bert}
        if name in wanted:
            if wanted[name] is None:
                continue
            cell = [setting.format(map=wanted[name].resolve(), other_bert=wanted[name].resolve()) for setting in cell]
        try:
            results = measure(name, cell, options, least_rows)
        except Failed as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            has_failed = True
            continue
        if not results:
            continue
        scores = [result["valid_auc"] for result in results]
        spread = f"{statistics.stdev(scores):.4f}" if len(scores) > 1 else "-"
        minutes = statistics.mean(whole(result, "seconds") for result in results) / 60
        print(name, f"{statistics.mean(scores):.4f}", spread, whole(results[0], "steps"), f"{minutes:.1f}", sep="\t", flush=True)
    sys.exit(has_failed)


if __name__ == "__main__":
    main()
