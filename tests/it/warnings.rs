//! What is allowed and probably not meant is said, each once, and not where all is well.

use crate::workspace::Workspace;

/// The lines of stderr that warn.
fn warnings(workspace: &Workspace, arguments: &[&str]) -> Vec<String> {
    let output = workspace.run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let lines = stderr.lines().filter(|line| line.contains("warning: "));
    lines.map(str::to_owned).collect()
}

/// Common tokens rank rows and decide nothing: whatever the metric, they are compared with the model by the AUC.
#[test]
fn common_tokens_are_compared_by_their_auc_where_the_metric_is_another() {
    let workspace = Workspace::with_pairs();
    for metric in ["accuracy", "log_loss"] {
        let out = format!("runs/{metric}");
        let set = format!("--set=task.metric={metric}");
        let output = workspace.run(&["run", "experiment.toml", "--out", &out, &set]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        let wanted = "warning: the share of common tokens alone has AUC 1.0000 on the same rows, the model 0.";
        assert!(told.contains(wanted), "{told}");
        let summary = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = summary.lines().find(|line| line.starts_with("overlap "));
        let line = line.unwrap_or_else(|| panic!("{summary}"));
        let wanted = " AUC 1.0000 by the share of common tokens alone, on the same rows, where the model has AUC 0.";
        assert!(line.contains(wanted), "{line}");
        let page = workspace.text(&format!("{out}/report.html"));
        assert!(page.contains("AUC of overlap") && page.contains(", where the model has AUC 0."));
        let result = &workspace.json(&format!("{out}/manifest.json"))["result"];
        let wanted = serde_json::json!({"name": "overlap", "metric": "auc", "score": 1.0});
        assert_eq!(result["baseline"], wanted);
    }
    let board = workspace.succeed(&["board", "--quiet"]);
    assert_eq!(board.matches(" AUC 1.0000 ").count(), 2, "{board}");
}

#[test]
fn rows_of_a_validation_file_that_are_trained_on_are_told() {
    let workspace = Workspace::with_pairs();
    let train = workspace.text("train.tsv");
    let seen: String = train
        .lines()
        .take(20)
        .map(|line| format!("{line}\n"))
        .collect();
    // Sentences that no other row has.
    let new: String = (0..40)
        .map(|i| format!("{} 1\t{} 1\t{}\n", 5000 + 2 * i, 5001 + 2 * i, i % 2))
        .collect();
    workspace.write("mixed.tsv", seen + &new);
    workspace.write("new.tsv", new);
    let told = |file: &str| {
        let (valid, out) = (
            format!("--set=data.valid={file}"),
            format!("--out={file}-run"),
        );
        let output = workspace.run(&["run", "experiment.toml", &valid, &out]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        told
    };
    let warning = "warning: the validation file: ";
    let all = told("train.tsv");
    assert!(
        all.contains(&format!("{warning}200 of 200 rows are training rows too")),
        "{all}"
    );
    let grouped =
        "validation file: 0 of 200 rows share no sentence with the training rows: AUC none";
    assert!(all.contains(grouped), "{all}");
    let mixed = told("mixed.tsv");
    assert!(
        mixed.contains(&format!("{warning}20 of 60 rows are training rows too")),
        "{mixed}"
    );
    let grouped = "validation file: 40 of 60 rows share no sentence with the training rows: AUC ";
    assert!(mixed.contains(grouped), "{mixed}");
    let new = told("new.tsv");
    assert!(!new.contains("are training rows too"), "{new}");
    assert!(
        new.contains("validation file: 40 of 40 rows share no sentence"),
        "{new}"
    );
}

#[test]
fn a_run_says_what_is_probably_not_meant() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--out", "good"];
    let rising = |line: &String| line.contains("still getting better"); // so it may be of noise
    let mut lines = warnings(&workspace, &run);
    lines.retain(|line| !rising(line));
    // Pairs of this test are told apart by their common tokens, and the model is tiny.
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let wanted = "the share of common tokens alone has AUC 1.0000 on the same rows, the model 0.";
    assert!(line.contains(wanted), "{line}");
    // Marks are advised where there are none and may be some.
    let advice = "or data.mark_shared = true may help";
    assert!(!line.contains(advice), "{line}");
    let unmarked = ["--out=unmarked", "--set=data.mark_shared=false"];
    let lines = warnings(&workspace, &[&run[..2], &unmarked].concat());
    let is_advised = |line: &String| line.contains(wanted) && line.contains(advice);
    assert!(lines.iter().any(is_advised), "{lines:?}");

    // A step has the rows of all its batches. A decay is of an average.
    let output = workspace.run(&[
        "run",
        "experiment.toml",
        "--out=accumulated",
        "--set=train.batch=16",
        "--set=train.gradient_accumulation=64",
        "--set=train.average_decay=0.9",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for wanted in [
        "stage pet: 2 steps of 1024 rows; ",
        "warning: --set train.average_decay=0.9: 0.9 changes nothing without average = \"ema\"",
        "warning: stage pet: train.batch = 16 times train.gradient_accumulation = 64 is more than its 240 rows, so an epoch is one step",
    ] {
        assert!(said.contains(wanted), "{said}");
    }

    // All labels are 1 but that of a row that is held out.
    let train: String = (0..20)
        .map(|i| format!("1 2 3 4 5\t2 3 4\t{}\n", u8::from(i > 0)))
        .collect();
    workspace.write("train.tsv", train);
    workspace.write("test.tsv", "901 902\t903 904\n".repeat(30));
    let settings = [
        "--set",
        "data.max_tokens=6",
        "--set",
        "vocab.min_count=15",
        "--set",
        "train.unlabelled=[]",
    ];
    workspace.write("other.tsv", "7001\t7002\n");
    let arguments = [&["run", "experiment.toml", "--out", "bad"][..], &settings].concat();
    let mut lines = warnings(&workspace, &arguments);
    lines.retain(|line| !rising(line));
    let wanted = [
        "20 of 20 rows (100.0 %) have more than data.max_tokens = 6 tokens and were cut",
        "no row to train on has the label 0",
        "stage pet: train.batch = 32 is more than its 18 rows",
    ]; // the share of common tokens has AUC 0.5 and the model too
    assert_eq!(lines.len(), wanted.len(), "{lines:?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.contains(wanted), "{line}");
    }
    let lines = warnings(
        &workspace,
        &[
            "predict",
            "bad",
            "--pairs",
            "other.tsv",
            "--out",
            "scores.csv",
        ],
    );
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let wanted =
        "other.tsv: 100 % of the tokens are unknown to the model ([UNK]); is it of the cipher that";
    assert!(line.contains(wanted), "{line}");
}
