//! Soft labels from finished runs, and pairs that others imply: what a student may see, and what is refused.

use std::process::Output;

use serde_json::Value;

use crate::workspace::Workspace;

fn run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "experiment.toml", "--out", out], more].concat()
}

/// Five folds in `teacher`.
fn with_teacher() -> Workspace {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("teacher", &["--set=folds.k=5"]));
    workspace
}

const FROM: &str = "--set=distill.from=teacher";

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_student_learns_soft_labels_of_training_and_test_rows_the_same_on_any_number_of_threads() {
    let workspace = with_teacher();
    workspace.succeed(&run("own", &[]));
    workspace.succeed(&run("student", &[FROM, "--threads=1"]));
    workspace.succeed(&run("again", &[FROM, "--threads=2"]));
    let log = workspace.text("student/run.log");
    assert!(
        log.contains("soft labels: 180 training rows and 40 test rows"), // of 200, row10 holds 20 out
        "{log}"
    );
    assert!(
        log.contains("rows: 220 labelled and 20 unlabelled to train"),
        "{log}"
    );
    let weights = |out: &str| workspace.read(&format!("{out}/model/model.safetensors"));
    assert!(weights("student") == weights("again"));
    assert!(weights("student") != weights("own"));
    workspace.succeed(&run("pairs", &[FROM, "--set=distill.test=false"]));
    let log = workspace.text("pairs/run.log");
    assert!(
        log.contains("rows: 180 labelled and 60 unlabelled to train"),
        "{log}"
    );
    // Test rows that have a soft label are labelled rows: a stage of these alone learns from them too.
    workspace.succeed(&run("labelled", &[FROM, "--set=train.unlabelled=[]"]));
    let log = workspace.text("labelled/run.log");
    assert!(
        log.contains("rows: 220 labelled and 0 unlabelled to train"),
        "{log}"
    );
    // The tables it learnt from are inputs like others.
    let manifest = workspace.json("student/manifest.json");
    let inputs = manifest["inputs"].as_array().expect("a list").iter();
    let of_teacher = inputs.filter(|input| input["key"] == "distill.from");
    let names: Vec<&str> = of_teacher
        .filter_map(|input| input["path"].as_str())
        .collect();
    assert!(
        names.iter().any(|name| name.ends_with("teacher/oof.csv")),
        "{names:?}"
    );
}

/// A single split has scored the rows that it holds out, and its student holds out the same.
#[test]
fn a_teacher_of_held_out_rows_alone_is_refused_or_teaches_test_rows_alone() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("teacher", &[]));
    let without_test = ["--set=distill.test=false", FROM];
    let output = workspace.run(&run("student", &without_test));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = "error: distill.from: these runs have scored none of the rows to train on, and no test row has a soft label\n\
                  hint: name runs of folds, which score every training row\n";
    assert!(said.ends_with(wanted), "{said}");
    assert!(!workspace.exists("student/manifest.json"));
    workspace.succeed(&run("taught", &[FROM]));
    let log = workspace.text("taught/run.log");
    let wanted = "soft labels: 40 test rows; the rows to train on keep their own labels";
    assert!(log.contains(wanted), "{log}");
    // Folds hold other rows out: each learns what the teacher has said of those that it trains on.
    let folds = ["--set=folds.k=2", "--set=train.max_steps=2"];
    workspace.succeed(&run("folds", &[&without_test[..], &folds].concat()));
    let taught = |fold: &str| -> usize {
        let log = workspace.text(&format!("folds/{fold}/run.log"));
        let (_, rest) = log.split_once("soft labels: ").expect("a teacher");
        let n = rest.split(' ').next().expect("a number");
        n.parse().expect("a number")
    };
    assert_eq!(taught("fold-1") + taught("fold-2"), 20);
}

/// A row's own label reaches a student only where the row is not held out: with another label there, nothing changes but its
/// figures.
#[test]
fn a_student_never_sees_the_label_of_a_row_that_it_holds_out() {
    let workspace = with_teacher();
    let soft = ["--set=train.epochs=1", FROM]; // more would choose the best one by these labels
    workspace.succeed(&run("one", &soft));
    // Row 0 is held out of row10. The teacher's table keeps what it said of it; its label is turned over everywhere.
    let turn = |line: &str, at: usize| {
        let mut fields: Vec<&str> = line.split(['\t', ',']).collect();
        fields[at] = if fields[at] == "1" { "0" } else { "1" };
        let between = if line.contains('\t') { "\t" } else { "," };
        fields.join(between)
    };
    let text = workspace.text("train.tsv");
    let (first, rest) = text.split_once('\n').expect("rows");
    workspace.write("train.tsv", format!("{}\n{rest}", turn(first, 2)));
    let oof = workspace.text("teacher/oof.csv");
    let mut lines: Vec<String> = oof.lines().map(str::to_owned).collect();
    lines[1] = turn(&lines[1], 1);
    workspace.write("teacher/oof.csv", lines.join("\n") + "\n");
    let mut manifest = workspace.json("teacher/manifest.json");
    for input in manifest["inputs"].as_array_mut().expect("a list") {
        if input["key"] == "data.train" {
            let sha256 = cipherpet::hash::sha256(workspace.read("train.tsv"));
            input["sha256"] = Value::String(sha256);
        }
    }
    for output in manifest["outputs"].as_array_mut().expect("a list") {
        if output["path"] == "oof.csv" {
            let sha256 = cipherpet::hash::sha256(workspace.read("teacher/oof.csv"));
            output["sha256"] = Value::String(sha256);
        }
    }
    workspace.write("teacher/manifest.json", manifest.to_string());
    workspace.succeed(&run("other", &soft));
    let weights = |out: &str| workspace.read(&format!("{out}/model/model.safetensors"));
    assert!(weights("one") == weights("other"));
}

#[test]
fn a_teacher_of_other_rows_another_task_or_none_at_all_is_refused() {
    let workspace = with_teacher();
    let refusal = |more: &[&str]| {
        let output = workspace.run(&run("student", more));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!workspace.exists("student/manifest.json"));
        stderr(&output)
    };
    let said = refusal(&["--set=distill.from=nowhere"]);
    assert!(said.contains("nowhere"), "{said}");
    workspace.write("more.tsv", "1 2\t3\t0\n4\t5 6\t1\n".repeat(20));
    let said = refusal(&[FROM, "--set=data.train=more.tsv"]);
    assert!(
        said.contains("distill.from: ") && said.contains("teacher has other training files"),
        "{said}"
    );
    let said = refusal(&[FROM, "--set=data.test=more.tsv"]);
    assert!(said.contains("teacher has another test file"), "{said}");
    let said = refusal(&[
        FROM,
        "--set=task.labels=ordinal",
        "--set=objective.name=mse",
    ]);
    assert!(
        said.contains("teacher has another task or other classes"),
        "{said}"
    );
    workspace.succeed(&run("ranks", &["--set=objective.name=cosent"]));
    let said = refusal(&["--set=distill.from=ranks"]);
    assert!(
        said.contains("ranks has learnt by `cosent`, whose scores are no logits"),
        "{said}"
    );
    for (setting, expected) in [
        ("distill.weight=1.5", "a number from 0 to 1"),
        ("distill.temperature=0", "a number above 0"),
    ] {
        let said = refusal(&[FROM, "--set", setting]);
        assert!(
            said.contains(&format!("--set {setting}: expected {expected}")),
            "{said}"
        );
    }
}

/// The scores of `cosent` say an order: any number may be added to all of them.
#[test]
fn grades_have_no_teacher_whose_scores_are_on_no_scale() {
    let workspace = Workspace::with_pairs();
    let grades = ["--set=task.labels=ordinal", "--set=objective.name=mse"];
    let by_cosent = ["--set=task.labels=ordinal", "--set=objective.name=cosent"];
    workspace.succeed(&run("grades", &grades));
    workspace.succeed(&run("order", &by_cosent));
    let blend = |runs: &[&str], out: &str| {
        workspace.succeed(&[&["ensemble", "--how=mean", "--out", out], runs].concat());
    };
    let student = |out: &str, from: &str| {
        let from = format!("--set=distill.from={from}");
        workspace.run(&run(out, &[&grades[..], &[&from]].concat()))
    };
    let refused = |from: &str, expected: &str| {
        let output = student("refused", from);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!workspace.exists("refused/manifest.json")); // there before the first step
    };
    blend(&["grades", "order"], "both");
    blend(&["both"], "again");
    for from in ["order", "both", "again"] {
        let expected = format!(
            "{from} has learnt by `cosent`, whose scores are on no scale\n\
             hint: train the teachers with objective.name = \"mse\" in what comes last\n"
        );
        refused(from, &expected);
    }
    blend(&["grades"], "one");
    for from in ["grades", "one"] {
        let output = student(&format!("of-{from}"), from);
        assert!(output.status.success(), "{}", stderr(&output));
        let log = workspace.text(&format!("of-{from}/run.log"));
        assert!(log.contains("soft labels: 40 test rows"), "{log}");
    }
    // Ensembles of earlier versions name no objective.
    let config = workspace.text("one/config.toml");
    let without = config.replace("[objective]\nname = \"mse\"\n", "");
    assert_ne!(config, without);
    workspace.write("one/config.toml", without);
    let unsaid = "does not say what its runs have learnt by\n\
                  hint: an earlier version has made it: make it again with `cipherpet ensemble`\n";
    refused("one", &format!("one {unsaid}"));
    blend(&["one", "grades"], "more");
    refused("more", &format!("more {unsaid}"));
    blend(&["grades"], "one");
    let output = student("at-last", "one");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Half of all rows have a mean rank above one half, however few are positive.
#[test]
fn ranks_are_no_teacher() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("run", &[]));
    let blend = |run: &str, how: &str, out: &str| {
        workspace.succeed(&["ensemble", run, "--how", how, "--out", out]);
    };
    blend("run", "rank", "ranks");
    blend("ranks", "mean", "of-ranks");
    blend("run", "mean", "mean");
    let old = |out: &str| {
        let mut manifest = workspace.json(&format!("{out}/manifest.json"));
        let blend = manifest["ensemble"].as_object_mut().expect("an object");
        blend.remove("ranks").expect("a key");
        workspace.write(&format!("{out}/manifest.json"), manifest.to_string());
    };
    let refused = |from: &str| {
        let set = format!("--set=distill.from={from}");
        let output = workspace.run(&run("student", &[&set]));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let expected = format!(
            "{from} has scores made of ranks, which say an order alone\n\
             hint: blend the runs themselves with `cipherpet ensemble --how mean`\n"
        );
        assert!(said.contains(&expected), "{said}");
        assert!(!workspace.exists("student/manifest.json"));
    };
    refused("ranks");
    refused("of-ranks");
    let taught = |out: &str| {
        workspace.succeed(&run(out, &["--set=distill.from=mean"]));
        let log = workspace.text(&format!("{out}/run.log"));
        assert!(log.contains("soft labels: 40 test rows"), "{log}");
    };
    taught("taught");
    // Ensembles of earlier versions say how they were made and nothing else.
    old("ranks");
    refused("ranks");
    old("mean");
    taught("again");
    // Mean ranks of grades are no grades.
    let grades = ["--set=task.labels=ordinal", "--set=objective.name=mse"];
    workspace.succeed(&run("grades", &grades));
    blend("grades", "rank", "by-rank");
    let from = [&grades[..], &["--set=distill.from=by-rank"]].concat();
    let said = stderr(&workspace.run(&run("student", &from)));
    assert!(said.contains("by-rank has scores made of ranks"), "{said}");
}

/// To `simbert` a pair is a positive one or none: a guess of 19 in 20 would be a sure label.
#[test]
fn a_guess_makes_no_positive_pair() {
    let workspace = with_teacher();
    let lines = (0..40).map(|row| format!("{row},3\n"));
    let sure = "row,score\n".to_owned() + &lines.collect::<String>();
    workspace.write("teacher/test.csv", sure);
    let mut manifest = workspace.json("teacher/manifest.json");
    manifest["outputs"] = Value::Array(Vec::new());
    workspace.write("teacher/manifest.json", manifest.to_string());
    let simbert = "--set=objective.name=simbert";
    workspace.succeed(&run("own", &[simbert]));
    workspace.succeed(&run("student", &[simbert, FROM]));
    let line = |log: &str, begin: &str| {
        let mut lines = log.lines().filter_map(|line| line.split_once(begin));
        let (_, rest) = lines.next().unwrap_or_else(|| panic!("{begin}: {log}"));
        rest.to_owned()
    };
    let positives = line(&workspace.text("own/run.log"), "rows: ");
    let log = workspace.text("student/run.log");
    let said = "180 training rows and 0 test rows; `simbert` learns from no test row";
    assert_eq!(line(&log, "soft labels: "), said);
    assert_eq!(line(&log, "rows: "), positives);
    assert!(
        positives.contains(" labelled and 0 unlabelled"),
        "{positives}"
    );

    // A single split has nothing else to say.
    workspace.succeed(&run("single", &[]));
    let output = workspace.run(&run("taught", &[simbert, "--set=distill.from=single"]));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = "have scored none of the rows to train on, and no test row has a soft label";
    assert!(said.contains(wanted), "{said}");

    // Another stage learns from them, and that of `simbert` does not even where it names them.
    let stages = "[[stage]]\nname = \"pairs\"\nobjective = \"simbert\"\nrows = [\"labelled\", \"test\"]\n\
                  [[stage]]\nname = \"task\"\nobjective = \"ce\"\n";
    workspace.write(
        "experiment.toml",
        workspace.text("experiment.toml") + stages,
    );
    workspace.succeed(&run("staged", &[FROM]));
    let log = workspace.text("staged/run.log");
    let said = "180 training rows and 40 test rows; `simbert` learns from no test row";
    assert_eq!(line(&log, "soft labels: "), said);
    assert_eq!(line(&log, "stage pairs: rows: "), positives);
    let task = line(&log, "stage task: rows: ");
    assert!(task.starts_with("220 labelled and 0 unlabelled"), "{task}");
}

#[test]
fn shared_stages_among_teachers_are_passed_over() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("teacher", &[]));
    let stage = workspace.path("stages/0123456789abcdef");
    std::fs::create_dir_all(stage).expect("a folder");
    let from = "--set=distill.from=[\"stages\", \"teacher\"]";
    workspace.succeed(&run("student", &[from]));
    let log = workspace.text("student/run.log");
    for line in ["stages is passed over: it holds", "soft labels: 40 test"] {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn a_table_of_a_teacher_with_other_rows_or_bytes_is_refused() {
    let workspace = with_teacher();
    let (oof, test) = (
        workspace.text("teacher/oof.csv"),
        workspace.text("teacher/test.csv"),
    );
    let refusal = || {
        let output = workspace.run(&run("student", &[FROM]));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    let beyond = format!("{oof}200,1,0.5,1\n");
    workspace.write("teacher/oof.csv", &beyond);
    let said = refusal();
    let other = "teacher/oof.csv is not the file that the run has written";
    assert!(said.contains(other), "{said}");
    workspace.write("teacher/oof.csv", &oof);
    let reversed: String = test.lines().rev().map(|line| format!("{line}\n")).collect();
    workspace.write("teacher/test.csv", reversed);
    let said = refusal();
    let other = "teacher/test.csv is not the file that the run has written";
    assert!(said.contains(other), "{said}");

    // Where the manifest does not list the tables, their rows are counted.
    let mut manifest = workspace.json("teacher/manifest.json");
    manifest["outputs"] = Value::Array(Vec::new());
    workspace.write("teacher/manifest.json", manifest.to_string());
    workspace.write("teacher/test.csv", format!("{test}40,0.5\n"));
    let said = refusal();
    let expected = "teacher/test.csv: expected 40 scores, one a row of data.test, found 41";
    assert!(
        said.contains(expected) && said.contains("hint: put back the file"),
        "{said}"
    );
    workspace.write("teacher/oof.csv", beyond);
    let said = refusal();
    let expected = "teacher/oof.csv:202:row: expected a row below 200, as many as there are training rows, found 200";
    assert!(
        said.contains(expected) && said.contains("hint: put back the file"),
        "{said}"
    );
}

#[test]
fn another_submission_of_a_teacher_is_no_other_teacher() {
    let workspace = with_teacher();
    let student = run("student", &[FROM, "--set=train.max_steps=2"]);
    workspace.succeed(&student);
    let before = workspace.read("teacher/submission.csv");
    workspace.succeed(&run(
        "teacher",
        &[
            "--set=folds.k=5",
            "--set=submit.format=csv",
            "--set=submit.probability=true",
        ],
    ));
    assert_ne!(workspace.read("teacher/submission.csv"), before);
    let again = workspace.succeed(&[&student[..], &["--json"]].concat());
    assert!(again.contains("\"found_done\":true"), "{again}");
}

#[test]
fn closure_adds_pairs_to_train_and_none_of_a_row_that_is_held_out() {
    let workspace = Workspace::with_pairs();
    // Row 0 is held out: what it implies, 1 = 3, is not for the model.
    let mut rows = "1\t2\t1\n3\t2\t1\n5\t6\t1\n6\t7\t1\n".to_owned();
    for i in 0..16 {
        rows += &format!("{} 9\t{} 9\t{}\n", 20 + i, 40 + i, i % 2);
    }
    workspace.write("train.tsv", rows);
    workspace.succeed(&run("out", &["--set=data.transitive_closure=true"]));
    let log = workspace.text("out/run.log");
    assert!(log.contains("transitive closure: 1 pairs more"), "{log}");
    assert!(log.contains("rows: 19 labelled"), "{log}");
    // Soft labels imply nothing; the rows' own do, with a teacher as without.
    let folds = ["--set=folds.k=2", "--set=folds.assign=row"];
    workspace.succeed(&run("teacher", &folds));
    workspace.succeed(&run(
        "student",
        &[FROM, "--set=data.transitive_closure=true"],
    ));
    let log = workspace.text("student/run.log");
    for line in [
        "soft labels: 18 training rows and 40 test rows",
        "transitive closure: 1 pairs more",
        "rows: 59 labelled",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert!(!log.contains("no row to train on has the label"), "{log}");
    // Each fold has what its own rows imply: 1 = 3 is there in both but where one of its two rows is held out.
    let closing = [&folds[..], &["--set=data.transitive_closure=true"]].concat();
    workspace.succeed(&run("folds", &closing));
    for fold in 1..=2 {
        let oof = workspace.text("folds/oof.csv");
        let trains = |row: usize| {
            let line = oof
                .lines()
                .find(|line| line.starts_with(&format!("{row},")));
            !line.expect("a row").ends_with(&format!(",{fold}"))
        };
        let n = [[0, 1], [2, 3]]
            .iter()
            .filter(|rows| rows.iter().all(|&row| trains(row)))
            .count();
        let log = workspace.text(&format!("folds/fold-{fold}/run.log"));
        assert!(
            log.contains(&format!("transitive closure: {n} pairs more")),
            "{log}"
        );
    }
    let output = workspace.run(&run(
        "single",
        &[
            "--set=data.transitive_closure=true",
            "--set=task.labels=ordinal",
            "--set=objective.name=mse",
        ],
    ));
    let said = stderr(&output);
    let expected = "--set data.transitive_closure=true: expected false, as it is for pairs labelled 0 or 1, found true";
    assert!(said.contains(expected), "{said}");
}
