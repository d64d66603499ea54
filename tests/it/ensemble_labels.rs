//! `cipherpet ensemble` of runs with other labels, and what scores of different kinds may say: probabilities, an order, a class.

use crate::ensemble::{ensemble, refused, two_runs};
use crate::hand_made::{edit_manifest, refusal, workspace, write_run};
use crate::workspace::Workspace;

/// Makes a hand-made run one of other labels, with `test.csv` in the place of plain scores.
fn relabel(workspace: &Workspace, run: &str, task: &str, metric: &str, test: &str) {
    let task: serde_json::Value = serde_json::from_str(task).expect("JSON");
    let config = workspace.text(&format!("{run}/config.toml"));
    let labels = task["labels"].as_str().expect("a word");
    workspace.write(
        &format!("{run}/config.toml"),
        format!("{config}[task]\nlabels = \"{labels}\"\nmetric = \"{metric}\"\n"),
    );
    edit_manifest(workspace, run, |manifest| {
        manifest["task"] = task;
        manifest["result"]["metric"] = metric.into();
    });
    workspace.write(&format!("{run}/test.csv"), test);
}

const CLASSES: &str = r#"{"kind":"pair","labels":"classes","classes":["x","y, z","w"]}"#;

/// Two runs of three classes, which read the rows the other way round from each other.
fn two_runs_of_classes() -> Workspace {
    let workspace = workspace();
    let table = |scores: [&str; 3]| {
        let [x, y, w] = scores;
        format!(
            "row,label,score:x,\"score:y, z\",score:w\n0,x,{x}\n4,\"y, z\",{y}\n7,w,{w}\n9,w,{w}\n"
        )
    };
    let test = "row,score:x,\"score:y, z\",score:w\n0,1,2,3\n1,3,0,0\n2,0,0,0\n";
    for (run, scores) in [
        ("a", ["2,0,0", "0,2,0", "0,0,2"]),
        ("b", ["0,0,1", "1,0,0", "0,1,0"]),
    ] {
        write_run(&workspace, run, &table(scores), "x\nx\nx\n");
        relabel(&workspace, run, CLASSES, "log_loss", test);
    }
    workspace
}

#[test]
fn runs_of_classes_are_blended_by_their_own_metric() {
    let workspace = two_runs_of_classes();
    let weigh = ensemble(&["--how", "weights", "--json"]);
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&weigh)).expect("one object");
    // Less is better: all weight is on the run that is right.
    assert_eq!(
        (&report["runs"][0]["weight"], &report["runs"][1]["weight"]),
        (&1.0.into(), &0.0.into())
    );
    assert_eq!(
        (&report["metric"], &report["auc"]),
        (&"log_loss".into(), &().into())
    );
    assert_eq!(report["score"], report["runs"][0]["score"]);
    let manifest = workspace.json("out/manifest.json");
    assert_eq!(manifest["task"]["classes"][1], "y, z");
    assert_eq!(
        (
            &manifest["result"]["metric"],
            &manifest["result"]["valid_score"]
        ),
        (&"log_loss".into(), &report["score"])
    );
    assert!(
        manifest["result"]["scores"]["accuracy"] == 1.0,
        "{manifest}"
    );
    assert_eq!(workspace.text("out/submission.csv"), "w\nx\nx\n");
    assert_eq!(
        workspace.text("out/valid.csv").lines().nth(2),
        Some("4,\"y, z\",0.00000000,2.00000000,0.00000000")
    );
    for how in ["mean", "rank", "logit"] {
        let shown = workspace.succeed(&["ensemble", "a", "out", "--how", how, "--out", how]);
        assert!(shown.starts_with("log loss  weight  run\n"), "{shown}");
    }
}

#[test]
fn several_labels_and_ordinals_make_ensembles() {
    let workspace = workspace();
    let task = r#"{"kind":"pair","labels":"multilabel","classes":["p","q"]}"#;
    for (run, q) in [("a", "1"), ("b", "-3")] {
        let table = format!(
            "row,label:p,label:q,score:p,score:q\n0,1,0,2,{q}\n4,0,1,-2,1\n5,1,1,1,{q}\n9,0,0,0,0\n"
        );
        write_run(&workspace, run, &table, "");
        let test = "row,score:p,score:q\n0,1,2\n1,-1,0\n2,0,0\n";
        relabel(&workspace, run, task, "mean_auc", test);
    }
    let shown = workspace.succeed(&ensemble(&["--how", "mean"]));
    assert!(shown.starts_with("mean AUC  weight  run\n"), "{shown}");
    let submission = workspace.text("out/submission.csv");
    assert_eq!(submission.lines().next(), Some("1.00000000 2.00000000"));

    let workspace = self::workspace();
    let task = r#"{"kind":"pair","labels":"ordinal","classes":[]}"#;
    for (run, first) in [("a", "4"), ("b", "1")] {
        let table = format!("row,label,score\n0,5,{first}\n4,2.5,1\n5,0,0\n9,1,0.5\n");
        write_run(&workspace, run, &table, &format!("{first}\n2\n0\n"));
        relabel(
            &workspace,
            run,
            task,
            "spearman",
            &format!("row,score\n0,{first}\n1,2\n2,0\n"),
        );
    }
    let shown = workspace.succeed(&ensemble(&["--how", "mean"]));
    assert!(shown.starts_with("Spearman  weight  run\n"), "{shown}");
    assert_eq!(
        workspace.text("out/submission.csv"),
        "2.50000000\n2.00000000\n0.00000000\n"
    );
}

#[test]
fn runs_of_different_tasks_or_metrics() {
    let hint = "hint: runs of one [task] make an ensemble; leave one of these out";
    let cases = [
        (
            "task/labels",
            "binary",
            "task.labels of a, `classes`, found `binary` in b",
        ),
        (
            "task/classes/2",
            "v",
            "classes of a, `x, y, z, w`, found `x, y, z, v` in b",
        ),
        (
            "result/metric",
            "accuracy",
            "task.metric of a, `log_loss`, found `accuracy` in b",
        ),
    ];
    for (place, value, reason) in cases {
        let workspace = two_runs_of_classes();
        edit_manifest(&workspace, "b", |manifest| {
            let there = manifest.pointer_mut(&format!("/{place}"));
            *there.expect("it is there") = value.into();
        });
        let expected = format!("error: a and b make no ensemble: expected the {reason}\n{hint}");
        refused(&workspace, &[], &expected);
    }
}

#[test]
fn a_setting_that_is_not_of_the_submission() {
    refused(
        &two_runs(),
        &["--set", "train.epochs=3"],
        "error: --set train.epochs=3: expected data.test or a key of [submit], found `train.epochs`\n\
         hint: nothing is trained here; other keys are those of the runs",
    );
}

#[test]
fn probabilities_of_scores_that_are_no_logits() {
    let workspace = two_runs();
    let config = workspace.text("a/config.toml") + "[objective]\nname = \"cosent\"\n";
    workspace.write("a/config.toml", config);
    let probability = ["--set", "submit.probability=true"];
    refused(
        &workspace,
        &probability,
        "error: submit.probability = true: the scores of `cosent` are no logits\n\
         hint: leave out what has learnt by `cosent`, or set submit.probability = false",
    );
    refused(
        &workspace,
        &[&probability[..], &["--how", "rank"]].concat(),
        "error: submit.probability = true asks for probabilities: ranks say an order alone\n\
         hint: take runs with objective.name = \"pet\" or \"ce\" in what comes last, or set submit.probability = false",
    );
    // Whichever run comes first, and a blend of such a run too.
    for (runs, out) in [
        (["b", "a"], "b-a"),
        (["a", "b"], "a-b"),
        (["b-a", "b"], "two"),
    ] {
        let blend = [&["ensemble"][..], &runs, &["--out", out]].concat();
        let error = refusal(&workspace, &[&blend[..], &probability].concat());
        assert!(
            error.contains("the scores of `cosent` are no logits"),
            "{error}"
        );
        workspace.succeed(&blend);
    }
}

/// Half of all rows have a mean rank above one half, however few are positive.
#[test]
fn ranks_are_no_probabilities() {
    let workspace = two_runs();
    let rank = ["--how", "rank"];
    let probability = ["--set", "submit.probability=true"];
    let refusal_of = |whose: &str, hint: &str| {
        format!(
            "error: submit.probability = true asks for probabilities: ranks say an order{whose} alone\n\
             hint: {hint}, or set submit.probability = false"
        )
    };
    let both = [&rank[..], &probability].concat();
    refused(&workspace, &both, &refusal_of("", "use --how mean"));
    // Nor is what is blended with them.
    workspace.succeed(&["ensemble", "a", "b", "--how", "rank", "--out", "ranks"]);
    let of_ranks = [
        "ensemble", "b", "ranks", "--how", "mean", "--out", "of-ranks",
    ];
    assert_eq!(
        refusal(&workspace, &[&of_ranks[..], &probability].concat()),
        refusal_of(
            ", as those of ranks",
            "blend the runs themselves with --how mean"
        )
    );
    // AUC reads the order alone: a sample has its numbers from 0 to 1, the mean ranks.
    workspace.write("sample.csv", "id,score\n0,0.5\n1,0.5\n2,0.5\n");
    let like = ["--set", "submit.like=sample.csv"];
    let with_sample = [&rank[..], &like].concat();
    let output = workspace.run(&ensemble(&with_sample));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let warning = "warning: submit.like asks for probabilities: ranks say an order alone, which is enough for AUC; \
                   for what reads more, use --how mean\n";
    assert!(said.contains(warning), "{said}");
    let submission = workspace.text("out/submission.csv");
    let numbers = submission
        .lines()
        .skip(1)
        .zip([5.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0]);
    for (line, expected) in numbers {
        let (_, number) = line.split_once(',').expect("two columns");
        let number: f64 = number.parse().expect("a number");
        assert!((number - expected).abs() < 1e-6, "{submission}");
    }
    assert_eq!(submission.lines().count(), 4);
    std::fs::remove_dir_all(workspace.path("out")).expect("the folder");
    // Accuracy reads more.
    for run in ["a", "b"] {
        edit_manifest(&workspace, run, |manifest| {
            manifest["result"]["metric"] = "accuracy".into()
        });
    }
    let expected =
        "error: submit.like asks for probabilities: ranks say an order alone\nhint: use --how mean";
    refused(&workspace, &with_sample, expected);
    workspace.succeed(&ensemble(&[&["--how", "mean"][..], &like].concat()));
}

#[test]
fn ranks_of_classes_say_the_class_and_no_probability() {
    let workspace = two_runs_of_classes();
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&ensemble(&["--how", "rank", "--json"])))
            .expect("one object");
    assert!(
        report["score"].is_null() && report["methods"]["rank"].is_null(),
        "{report}"
    );
    assert!(report["methods"]["mean"].is_number(), "{report}");
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 3);
    let result = workspace.json("out/manifest.json")["result"].clone();
    assert!(
        result["valid_score"].is_null() && result["scores"]["log_loss"].is_null(),
        "{result}"
    );
    assert!(result["scores"]["accuracy"].is_number(), "{result}");
    // All classes of `b` are wrong.
    for (how, has_probabilities) in [("rank", false), ("mean", true)] {
        workspace.succeed(&["ensemble", "b", "--how", how, "--out", how]);
        workspace.succeed(&["report", how]);
        let page = workspace.text(&format!("{how}/report.html"));
        for of_probabilities in ["Validation log loss", "log-probability of the class"] {
            let is_there = page.contains(of_probabilities);
            assert_eq!(is_there, has_probabilities, "{how}: {of_probabilities}");
        }
        let is_there = page.contains("score less that of the one said");
        assert_eq!(is_there, !has_probabilities, "{how}");
    }
    // A blend with ranks says no more; what its other runs have alone is there.
    let of_ranks = [
        "ensemble", "b", "out", "--how", "mean", "--out", "of-ranks", "--json",
    ];
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&of_ranks)).expect("one object");
    assert!(
        report["score"].is_null() && report["methods"]["mean"].is_null(),
        "{report}"
    );
    assert!(
        report["runs"][0]["score"].is_number() && report["runs"][1]["score"].is_null(),
        "{report}"
    );
    // A column a class is a column of probabilities.
    let sample = "id,x,\"y, z\",w\n0,0.2,0.3,0.5\n1,0.2,0.3,0.5\n2,0.2,0.3,0.5\n";
    workspace.write("sample.csv", sample);
    let like = ["ensemble", "a", "b", "--set", "submit.like=sample.csv"];
    let by = |how| [&like[..], &["--how", how, "--out", "columns"]].concat();
    assert_eq!(
        refusal(&workspace, &by("rank")),
        "error: submit.like asks for probabilities: ranks say an order alone\nhint: use --how mean"
    );
    workspace.succeed(&by("mean"));
}

#[test]
fn a_mean_of_scores_on_different_scales_is_warned_of() {
    let workspace = two_runs();
    let plain = workspace.text("a/config.toml");
    let by_cosent = plain.clone() + "[objective]\nname = \"cosent\"\n";
    workspace.write("a/config.toml", &by_cosent);
    let said = |runs: [&str; 2], how: &str, out: &str| {
        let output = workspace.run(&["ensemble", runs[0], runs[1], "--how", how, "--out", out]);
        assert!(output.status.success(), "{}", workspace.transcript(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut lines = said.lines();
        let warning = lines.find(|line| line.starts_with("warning: "));
        warning.unwrap_or_default().to_owned()
    };
    let warning = |scales: &str| {
        format!(
            "warning: a mean of scores on different scales: {scales}; --how rank takes nothing but their order"
        )
    };
    let expected = warning("a has learnt by `cosent`, b has logits");
    for how in ["mean", "logit"] {
        assert_eq!(said(["a", "b"], how, how), expected, "{how}");
    }
    assert_eq!(said(["a", "b"], "rank", "ranks"), "");
    let expected = warning("b has logits, ranks is made of ranks");
    assert_eq!(said(["b", "ranks"], "mean", "of-ranks"), expected);
    workspace.write("b/config.toml", &by_cosent);
    assert_eq!(said(["a", "b"], "mean", "cosent"), "");
    for run in ["a", "b"] {
        workspace.write(&format!("{run}/config.toml"), &plain);
    }
    assert_eq!(said(["a", "b"], "mean", "logits"), "");
}
