//! `cipherpet report`, `report.html` at the end of a run, and the page as a browser shows it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use cipherpet::random::Key;
use serde_json::json;

use crate::browser::{Browser, VIEWS, View};
use crate::workspace::Workspace;

/// The name of a run, as bad as a folder's name can be.
const EVIL: &str = "<img src=x onerror=alert(1)>&\"'";

/// Where screenshots are kept to look at.
fn screenshots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("a folder under target");
    folder
}

/// Makes a run with folds out of `base`, a finished run without: 5 models, 200 rows, scores that tell the labels apart the
/// better the larger `gain` is.
fn write_folds(workspace: &Workspace, base: &str, name: &str, gain: f64) {
    let labels: Vec<u8> = workspace
        .text("train.tsv")
        .lines()
        .map(|line| u8::from(line.ends_with("\t1")))
        .collect();
    let key = Key::from_seed(gain.to_bits());
    let noise = |row: usize| (key.bits(row as u64) % 2000) as f64 / 1000.0 - 1.0;
    let score = |row: usize| gain * (2.0 * f64::from(labels[row]) - 1.0) + 2.0 * noise(row);
    let folder = workspace.path(name);
    std::fs::create_dir_all(&folder).expect("room");
    for file in ["config.toml", "mapping.tsv", "submission.csv"] {
        workspace.write(
            &format!("{name}/{file}"),
            workspace.read(&format!("{base}/{file}")),
        );
    }
    let mut out_of_fold = "row,label,score,fold\n".to_owned();
    for (row, label) in labels.iter().enumerate() {
        writeln!(
            out_of_fold,
            "{row},{label},{},{}",
            score(row) as f32,
            row % 5 + 1
        )
        .expect("room");
    }
    workspace.write(&format!("{name}/oof.csv"), out_of_fold);
    for fold in 1..=5 {
        let dir = format!("{name}/fold-{fold}");
        std::fs::create_dir_all(workspace.path(&format!("{dir}/model"))).expect("room");
        let vocabulary = workspace.read(&format!("{base}/model/vocab.txt"));
        workspace.write(&format!("{dir}/model/vocab.txt"), vocabulary);
        workspace.write(&format!("{dir}/model/model.safetensors"), []);
        let mut valid = "row,label,score\n".to_owned();
        for row in (fold - 1..200).step_by(5) {
            writeln!(valid, "{row},{},{}", labels[row], score(row) as f32).expect("room");
        }
        workspace.write(&format!("{dir}/valid.csv"), valid);
        let epochs: String = (1..=6).map(|epoch| epoch_line(epoch, fold, gain)).collect();
        workspace.write(&format!("{dir}/metrics.jsonl"), epochs);
        let done = json!({"fold": fold, "best_epoch": 6, "epochs": 6, "steps": 36, "seconds": 2.5, "tokens_per_second": 900.0});
        workspace.write(&format!("{dir}/DONE"), done.to_string());
    }
    let mut manifest = workspace.json(&format!("{base}/manifest.json"));
    let result = &mut manifest["result"];
    result["oof_auc_low"] = json!(0.75);
    result["oof_auc_high"] = json!(0.86);
    result["leakage"] =
        json!({"row_auc": 0.81, "grouped_auc": 0.78, "rows": 200, "grouped_rows": 120});
    workspace.write(&format!("{name}/manifest.json"), manifest.to_string());
}

fn epoch_line(epoch: usize, fold: usize, gain: f64) -> String {
    let (x, shift) = (epoch as f64, 0.01 * fold as f64);
    let line = json!({
        "epoch": epoch, "steps": 6 * epoch, "loss": 4.0 - 0.3 * x, "mlm_loss": 3.4 - 0.2 * x + shift,
        "label_loss": 0.7 - 0.05 * x - shift, "learning_rate": 1e-4, "valid_auc": 0.6 + 0.03 * x * gain + shift,
        "seconds": 0.4, "tokens_per_second": 900.0,
    });
    format!("{line}\n")
}

#[test]
fn the_grouped_figure_is_of_whole_sentences() {
    let workspace = Workspace::with_pairs();
    // Rows i mod 10 = 0 validate; of the first hundred each has the first sentence of the nine rows behind it, cut to another
    // length in each.
    let row = |row: usize| {
        let first = if row < 100 { row / 10 } else { row };
        let (first, second) = (
            format!("{first}{}", " 7".repeat(15)),
            "8 ".repeat(1 + row % 10),
        );
        format!("{first}\t{second}{}\t{}\n", 1000 + row, row / 10 % 2)
    };
    workspace.write("train.tsv", (0..200).map(row).collect::<String>());
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set=data.max_tokens=14",
    ]);
    let page = workspace.text("out/report.html");
    let grouped = page.split_once("no sentence of theirs was trained on");
    let number = grouped.expect("a table").1.split("</td>").nth(2);
    let number = number.expect("three cells");
    assert!(number.ends_with(">10"), "{number}");
}

#[test]
fn every_run_leaves_a_report_that_holds_no_sentence() {
    let workspace = Workspace::with_pairs();
    let mut lines: Vec<String> = workspace
        .text("train.tsv")
        .lines()
        .map(str::to_owned)
        .collect();
    lines[1] = lines[0].clone(); // two validation rows that a training row repeats
    lines[14] = lines[40].clone();
    workspace.write("train.tsv", lines.join("\n"));
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let page = workspace.text("out/report.html");
    for heading in [
        "Validation AUC",
        "ROC curve",
        "Reliability",
        "Rank and frequency",
        "Worst errors",
    ] {
        assert!(page.contains(heading), "{heading}");
    }
    assert!(
        page.contains("AUC by sentence length") && !page.contains("the texts are not known here")
    );
    for line in workspace
        .text("train.tsv")
        .lines()
        .chain(workspace.text("test.tsv").lines())
    {
        for sentence in line
            .split('\t')
            .filter(|sentence| sentence.split(' ').count() > 3)
        {
            assert!(!page.contains(sentence), "{sentence}");
        }
    }
    // Rows i mod 10 = 0 validate; the grouped figure is over those with no sentence that any other row holds.
    let train = workspace.text("train.tsv");
    let rows: Vec<Vec<&str>> = train
        .lines()
        .map(|line| line.split('\t').take(2).collect())
        .collect();
    let trained: Vec<&str> = (0..200)
        .filter(|row| row % 10 > 0)
        .flat_map(|row| rows[row].clone())
        .collect();
    let unshared = (0..200)
        .step_by(10)
        .filter(|&row| rows[row].iter().all(|sentence| !trained.contains(sentence)));
    let unshared = unshared.count();
    assert!(0 < unshared && unshared <= 18, "{unshared}");
    let grouped = page
        .split_once("no sentence of theirs was trained on")
        .expect("a table")
        .1;
    let number = grouped.split("</td>").nth(2).expect("three cells");
    assert!(
        number.ends_with(&format!(">{unshared}")),
        "{unshared}, {number}"
    );
    // The same again, by hand and into another file.
    let shown = workspace.succeed(&["report", "out", "--out", "again.html", "--json"]);
    assert_eq!(shown, "{\"report\":\"again.html\",\"runs\":[\"out\"]}\n");
    assert_eq!(workspace.text("again.html"), page);
    assert_eq!(workspace.succeed(&["report", "out"]), "out/report.html\n");
}

#[test]
fn a_run_of_folds_leaves_a_report_once_it_is_merged() {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set",
        "folds.k=2",
    ];
    for fold in ["1", "2"] {
        workspace.succeed(&[&run[..], &["--fold", fold]].concat());
    }
    assert!(!workspace.exists("out/report.html"));
    workspace.succeed(&["report", "out"]);
    let cut = workspace.text("out/report.html");
    assert!(cut.contains("This run has not ended") && cut.contains("Out-of-fold AUC"));
    workspace.succeed(&[&run[..], &["--finish"]].concat());
    let page = workspace.text("out/report.html");
    assert!(!page.contains("This run has not ended"));
    let result = workspace.json("out/manifest.json")["result"].take();
    for (key, figure) in [
        ("oof_auc", &result["oof_auc"]),
        ("low", &result["oof_auc_low"]),
        ("high", &result["oof_auc_high"]),
        ("fold 2", &result["folds"][1]["valid_auc"]),
        ("grouped", &result["leakage"]["grouped_auc"]),
    ] {
        let text = format!("{:.4}", figure.as_f64().expect("a number"));
        assert!(page.contains(&text), "{key}: {text}");
    }
    // A report that is lost comes back with the next command.
    std::fs::remove_file(workspace.path("out/report.html")).expect("it was there");
    workspace.write("out/.unfinished-page", "<html>");
    workspace.write("out/.unfinished-old", "<html>");
    let old = std::fs::File::options()
        .write(true)
        .open(workspace.path("out/.unfinished-old"));
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    old.and_then(|old| old.set_modified(yesterday))
        .expect("a file of ours");
    workspace.succeed(&run);
    assert!(!workspace.exists("out/.unfinished-old"));
    // Somebody may be writing it.
    std::fs::remove_file(workspace.path("out/.unfinished-page")).expect("it is left alone");
    assert_eq!(workspace.text("out/report.html"), page);
}

#[test]
fn what_needs_the_pairs_is_left_out_where_the_inputs_have_changed() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let changed = workspace.text("train.tsv").replacen('\t', " 9\t", 1);
    workspace.write("train.tsv", changed);
    workspace.succeed(&["report", "out"]);
    let page = workspace.text("out/report.html");
    let file = workspace
        .path("train.tsv")
        .canonicalize()
        .expect("it is there");
    // Of the third place they are needed, the grouped AUC, the same is said.
    let reason = |what: &str| format!("the texts are not known here: {} {what}.", file.display());
    assert_eq!(
        page.matches(&reason("has changed since the run")).count(),
        3
    );
    std::fs::remove_file(workspace.path("train.tsv")).expect("it was there");
    workspace.succeed(&["report", "out"]);
    assert_eq!(
        workspace
            .text("out/report.html")
            .matches(&reason("cannot be read now"))
            .count(),
        3
    );
}

#[test]
fn a_run_that_was_cut_is_shown_as_far_as_it_is() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let mut manifest = workspace.json("out/manifest.json");
    manifest["state"] = json!("begun");
    manifest["result"] = json!(null);
    workspace.write("out/manifest.json", manifest.to_string());
    std::fs::remove_file(workspace.path("out/valid.csv")).expect("it was there");
    workspace.succeed(&["report", "out"]);
    let page = workspace.text("out/report.html");
    assert!(page.contains("This run has not ended"), "{page}");
    assert!(
        page.contains("no rows of both labels are scored")
            && page.contains("Validation AUC by epoch")
    );
}

#[test]
fn a_stage_that_is_trained_beside_the_run_stands_among_its_stages() {
    let workspace = Workspace::with_pairs();
    let stages = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nepochs = 2\n\
                  [[stage]]\nname = \"labels\"\nepochs = 1\n";
    let text = workspace.text("experiment.toml");
    workspace.write("experiment.toml", text + stages);
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let page = workspace.text("out/report.html");
    let (_, table) = page.split_once("<h2>Stages</h2>").expect("a table");
    let at = |what: &str| table.find(what).expect("in the table");
    assert!(at("1 to 2, trained once for all folds and seeds") < at("labels"));
    assert!(at("masks") < at("labels"));
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let workspace = Workspace::empty();
    insta::assert_snapshot!("report_no_run", workspace.snapshot(&["report", "out"]));
    insta::assert_snapshot!("report_no_place", workspace.snapshot(&["report", "a", "b"]));
}

/// The page of a run without folds, of one with folds and of the comparison, on a phone and on a desktop, light and dark.
#[test]
fn the_pages_in_a_browser() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let workspace = Workspace::with_pairs();
    let rare = ["--set", "vocab.min_count=66"]; // some tokens have no row of their own
    workspace.succeed(&[&["run", "experiment.toml", "--out", "single"][..], &rare].concat());
    write_folds(&workspace, "single", EVIL, 1.0);
    let folds = ["--set", "folds.k=3", "--set", "folds.full=true"];
    workspace.succeed(&[&["run", "experiment.toml", "--out", "folds"][..], &folds].concat());
    workspace.succeed(&["report", EVIL, "--out", "folds.html"]);
    workspace.succeed(&[
        "report",
        EVIL,
        "folds",
        "single",
        "--out",
        "comparison.html",
    ]);
    for (name, file) in [
        ("single", "single/report.html"),
        ("folds", "folds.html"),
        ("comparison", "comparison.html"),
    ] {
        for view in VIEWS {
            let page = browser.open(&workspace.path(file), view);
            let picture = screenshots().join(format!("{name}-{}.png", view.name));
            std::fs::write(&picture, browser.screenshot(&page)).expect("room for a picture");
            let problems = browser.problems(&page);
            assert!(
                problems.is_empty(),
                "{name}, {}: {problems:#?}\nsee {}",
                view.name,
                picture.display()
            );
            let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
            assert_eq!(browser.evaluate(&page, dark), view.dark);
            assert_eq!(browser.evaluate(&page, "innerWidth"), view.width);
            assert_eq!(browser.evaluate(&page, "document.scripts.length"), 0);
            let charts = browser.evaluate(&page, "document.querySelectorAll('svg.chart').length");
            assert_eq!(charts, if name == "comparison" { 6 } else { 10 }, "{name}");
        }
    }
    let title = browser.open(&workspace.path("folds.html"), VIEWS[0]);
    assert_eq!(
        browser.evaluate(&title, "document.querySelector('h1').textContent"),
        EVIL
    );
}

/// The test above can fail.
#[test]
fn a_bad_page_in_a_browser() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let workspace = Workspace::empty();
    workspace.write(
        "bad.html",
        "<!DOCTYPE html><meta name=viewport content='width=device-width'><p style='width:2000px;color:#ccc'>wide and pale\
         <img src='http://127.0.0.1:9/a.png'><svg class=chart aria-label=c viewBox='0 0 900 10' width=90 height=1>\
         <text x=0 y=9 font-size=9>one</text></svg>\
         <svg class=chart viewBox='0 0 90 20' width=90 height=20><text y=18>one</text><text x=2 y=18>two</text></svg><script>console.error('no')</script>",
    );
    let view: View = VIEWS[0];
    let page = browser.open(&workspace.path("bad.html"), view);
    let problems = browser.problems(&page).join("\n");
    for expected in [
        "in a window of 390",
        "contrast 1.6",
        "text of 0.9 px",
        "stands on",
        "hardly any labels",
        "console: [{\"type\":\"string\",\"value\":\"no\"}]",
        "asked for http://127.0.0.1:9/a.png",
    ] {
        assert!(problems.contains(expected), "{expected} in:\n{problems}");
    }
}

/// A run folder by hand: a single split with these labels, one line a row.
fn write_kind(
    workspace: &Workspace,
    name: &str,
    task: &serde_json::Value,
    metric: &str,
    table: &str,
) {
    std::fs::create_dir_all(workspace.path(name)).expect("room");
    let manifest = json!({
        "tool": "cipherpet", "state": "done", "config_sha256": "", "inputs": [], "task": task,
        "result": {"metric": metric, "seconds": 3.0},
    });
    workspace.write(&format!("{name}/manifest.json"), manifest.to_string());
    workspace.write(&format!("{name}/config.toml"), "seed = 0\n");
    workspace.write(&format!("{name}/valid.csv"), table);
    let epoch = |epoch: usize, stage: &str, objective: &str| {
        let line = json!({
            "epoch": epoch, "stage": stage, "objective": objective, "steps": 5 * epoch, "loss": 1.0, "metric": metric,
            "valid_score": 0.4, "label_loss": 0.7, "learning_rate": 1e-4, "seconds": 1.0, "tokens_per_second": 9.0,
        });
        format!("{line}\n")
    };
    let epochs = epoch(1, "adapt", "mlm") + &epoch(2, "decide", "ce");
    workspace.write(&format!("{name}/metrics.jsonl"), epochs);
}

#[test]
fn every_kind_of_label_has_figures_of_its_own_and_names_are_escaped() {
    let workspace = Workspace::empty();
    let task = |labels: &str, classes: &[&str]| json!({"kind": "single", "labels": labels, "classes": classes});
    let names = ["<b>", "c", "d"];
    for (name, task, metric, table, headings) in [
        (
            "classes",
            task("classes", &names),
            "macro_f1",
            "row,label,score:<b>,score:c,score:d\n0,<b>,1,0,0\n1,c,2,1,0\n2,d,0,0,3\n",
            [
                "Validation macro F1",
                "<h2>Confusion</h2>",
                "log-probability of the class",
            ],
        ),
        (
            "several",
            task("multilabel", &names),
            "mean_auc",
            "row,label:<b>,label:c,label:d,score:<b>,score:c,score:d\n0,1,0,0,1,-1,-1\n1,0,1,1,-1,1,-1\n",
            [
                "Validation mean AUC",
                "<h2>Labels</h2>",
                "log-probability of a label",
            ],
        ),
        (
            "ordinal",
            task("ordinal", &[]),
            "spearman",
            "row,label,score\n0,1,0.5\n1,2,2.5\n2,3,2\n",
            [
                "Validation Spearman",
                "<h2>What is left over by label</h2>",
                "rank of score",
            ],
        ),
        (
            "accuracy",
            task("binary", &["0", "1"]),
            "accuracy",
            "row,label,score\n0,1,0.5\n1,0,0.7\n2,1,2\n3,0,-1\n",
            [
                "Validation accuracy",
                "<h2>Thresholds</h2>",
                "threshold chosen on the other half",
            ],
        ),
    ] {
        write_kind(&workspace, name, &task, metric, table);
        workspace.succeed(&["report", name]);
        let page = workspace.text(&format!("{name}/report.html"));
        for heading in headings
            .into_iter()
            .chain(["<h2>Stages</h2>", "adapt", "decide"])
        {
            assert!(page.contains(heading), "{name}: {heading}");
        }
        assert!(!page.contains("<b>"), "{name}");
        assert_eq!(page.contains("ROC curve"), name == "accuracy", "{name}");
    }
    workspace.succeed(&["report", "classes", "accuracy", "--out", "both.html"]);
    let both = workspace.text("both.html");
    assert!(both.contains("The runs have different metrics") && !both.contains("(best)"));
}

#[test]
fn scores_that_are_no_logits_are_no_probabilities() {
    let workspace = Workspace::empty();
    let task = json!({"kind": "single", "labels": "binary", "classes": ["0", "1"]});
    let table = "row,label,score\n0,1,0.5\n1,0,0.7\n2,1,2\n3,0,0.1\n";
    write_kind(&workspace, "run", &task, "auc", table);
    let mut manifest = workspace.json("run/manifest.json");
    for (how, objective, are_logits) in [
        (json!({ "how": "mean" }), "ce", true),
        (json!({ "how": "rank" }), "ce", false),
        (json!({ "how": "mean", "ranks": true }), "ce", false),
        (json!({ "how": "mean", "ranks": false }), "cosent", false),
    ] {
        manifest["ensemble"] = how.clone();
        workspace.write("run/manifest.json", manifest.to_string());
        let config = format!("[objective]\nname = \"{objective}\"\n");
        workspace.write("run/config.toml", config);
        workspace.succeed(&["report", "run"]);
        let page = workspace.text("run/report.html");
        for of_logits in [
            "Expected calibration error",
            ">log loss<",
            "probability of 1",
            "logit of 1",
        ] {
            let is_there = page.contains(of_logits);
            assert_eq!(is_there, are_logits, "{how}, {objective}: {of_logits}");
        }
        let is_by_threshold = page.contains("the threshold with the best accuracy");
        assert_eq!(is_by_threshold, !are_logits, "{how}, {objective}");
    }
}

#[test]
fn tensorboard_finds_an_event_file_with_the_figures_of_every_epoch() {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--out=out",
        "--set=train.epochs=2",
    ];
    workspace.succeed(&[&run[..], &["--tensorboard"]].concat());
    let metrics = crate::workspace::metrics(&workspace.path("out/metrics.jsonl"));
    let points = |epoch: usize| metrics[epoch]["curve"].as_array().expect("a curve").len();
    let steps = metrics[1]["steps"].as_u64().expect("a number") as usize;
    assert_eq!(points(0) + points(1), steps); // few steps: each has its point
    let bytes = workspace.read("out/events.out.tfevents.cipherpet");
    // Records of TensorFlow: length, its checksum, content, its checksum.
    let (mut at, mut records) = (0, Vec::new());
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize;
        records.push(String::from_utf8_lossy(&bytes[at + 12..at + 12 + length]).into_owned());
        at += 16 + length;
    }
    assert_eq!(at, bytes.len());
    let with = |tag: &str| records.iter().filter(|record| record.contains(tag)).count();
    assert_eq!(with("train/label_loss"), steps);
    assert_eq!(with("train/learning_rate"), steps);
    assert_eq!(with("valid/auc"), 2);
    // Without the option there is none, and nothing else is another.
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out=plain",
        "--set=train.epochs=2",
    ]);
    assert!(!workspace.exists("plain/events.out.tfevents.cipherpet"));
    assert_eq!(
        workspace.read("plain/submission.csv"),
        workspace.read("out/submission.csv")
    );
}
