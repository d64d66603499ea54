//! The experiment file and `--set`, seen from the command line.

use cipherpet::config::Preset;

use crate::workspace::{ALL_HEADS, Workspace};

fn refused(name: &str, experiment: &str, arguments: &[&str]) {
    let workspace = Workspace::with_pairs();
    let text = workspace.text("experiment.toml") + experiment;
    workspace.write("experiment.toml", text);
    let run = ["run", "experiment.toml", "--out", "out"];
    let shown = workspace.snapshot(&[&run[..], arguments].concat());
    insta::assert_snapshot!(name, shown);
    assert!(!workspace.exists("out"), "{name} has left a folder");
}

#[test]
fn unknown_key() {
    refused("config_unknown_key", "epoch = 3\n", &[]);
    refused("set_unknown_key", "", &["--set", "train.epoch=3"]);
}

#[test]
fn wrong_type() {
    refused("config_wrong_type", "clip = \"one\"\n", &[]);
    refused("set_wrong_type", "", &["--set", "train.epochs=many"]);
}

#[test]
fn masks_that_cannot_be() {
    let unit = "\n[objective]\nmask_unit = \"word\"\n";
    refused("config_mask_unit", unit, &[]);
    let replacement = "\n[[stage]]\nname = \"a\"\nmask_replacement = \"near\"\n";
    refused("config_mask_replacement", replacement, &[]);
    let share = "\n[objective]\nmask = 0.6\nmask_unit = \"ngram\"\n";
    refused("config_mask_of_ngrams", share, &[]);
}

#[test]
fn no_epochs() {
    refused("config_no_epochs", "", &["--set", "train.epochs=0"]);
}

#[test]
fn a_share_of_the_rows_validates() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--set=train.max_steps=1"];
    workspace.succeed(&[&run[..], &["--out=share", "--set=data.valid=0.1"]].concat());
    workspace.succeed(&[&run[..], &["--out=tenth", "--set=data.valid=row10"]].concat());
    let valid = |run: &str| workspace.text(&format!("{run}/valid.csv"));
    assert_eq!(valid("share"), valid("tenth"));
    // Its resolved config says the same, and is the same run.
    workspace.succeed(&["run", "share/config.toml", "--out=share"]);
    for (value, expected) in [
        ("0.7", "expected a share above 0, up to 0.5, found 0.7\n"),
        (
            "tenth.tsv",
            "hint: `row10` holds out every tenth row, 0.2 (without quotes) every fifth,",
        ),
    ] {
        let refused =
            workspace.run(&[&run[..], &["--set", &format!("data.valid={value}")]].concat());
        let shown = String::from_utf8(refused.stderr).expect("UTF-8");
        assert_eq!(refused.status.code(), Some(1));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn the_name_of_a_model_is_not_a_folder() {
    let workspace = Workspace::with_pairs();
    workspace.write("plain.txt", "ab\n");
    let run = [
        "run",
        "experiment.toml",
        "--set=checkpoint.dir=bert-base-chinese",
    ];
    let count = [
        "count",
        "plain.txt",
        "--checkpoint=bert-base-chinese",
        "--out=c.tsv",
    ];
    for arguments in [&run[..], &count] {
        let output = workspace.run(arguments);
        let shown = String::from_utf8(output.stderr).expect("UTF-8");
        let line = "`hf download bert-base-chinese --local-dir bert-base-chinese` makes one\n";
        assert!(shown.ends_with(line), "{arguments:?}: {shown}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn rank_without_a_checkpoint() {
    refused("config_rank_alone", "", &["--set", "align.method=rank"]);
}

#[test]
fn a_file_that_is_not_there() {
    refused("config_no_file", "", &["--set", "data.test=no.tsv"]);
    let workspace = Workspace::empty();
    insta::assert_snapshot!(
        "config_no_experiment",
        workspace.snapshot(&["run", "no.toml"])
    );
}

#[test]
fn rows_longer_than_the_model() {
    refused("config_too_long", "", &["--set", "data.max_tokens=600"]);
}

#[test]
fn positions_beyond_those_of_the_checkpoint_are_made_from_its_own() {
    let workspace = Workspace::with_pairs();
    workspace.write_checkpoint("bert", ALL_HEADS); // 64 positions
    let text = workspace.text("experiment.toml");
    let (before, after) = text.split_once("[model]").expect("a size");
    let after = after.split_once("[train]").expect("settings").1;
    workspace.write("experiment.toml", format!("{before}[train]{after}"));
    let row = |i: usize| {
        format!(
            "{} {}\t{} 5\t{}\n",
            i % 7,
            vec!["9"; 70].join(" "),
            i % 5,
            i % 2
        )
    };
    workspace.write("train.tsv", (0..60).map(row).collect::<String>());
    let run = [
        "run",
        "experiment.toml",
        "--out=out",
        "--set=align.method=random",
        "--set=checkpoint.dir=bert",
    ];
    let small = ["--set=data.max_tokens=90", "--set=train.max_steps=2"];
    let refused = |more: &[&str]| {
        let output = workspace.run(&[&run[..], &small, more].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(!workspace.exists("out"));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let text = refused(&[]);
    assert!(
        text.contains("found 90\nhint: lower data.max_tokens, or set model.positions = 93"),
        "{text}"
    );
    let text = refused(&["--set=model.positions=63"]);
    assert!(
        text.contains("expected a number from 64, which the checkpoint has, to 4096, found 63"),
        "{text}"
    );
    let hint = "\nhint: set model.positions = 93: enough for data.max_tokens = 90\n";
    assert!(text.ends_with(hint), "{text}");
    workspace.succeed(&[&run[..], &small, &["--set=model.positions=93"]].concat());
    assert_eq!(
        workspace.json("out/model/config.json")["max_position_embeddings"],
        93
    );
    workspace.succeed(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "again.csv",
    ]);
    assert_eq!(
        workspace.read("again.csv"),
        workspace.read("out/submission.csv")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_refused_before_any_work() {
    use std::os::unix::ffi::OsStrExt;
    let workspace = Workspace::with_pairs();
    let mut command = workspace.command(&["run", "experiment.toml", "--out"]);
    let output = command
        .arg(std::ffi::OsStr::from_bytes(b"r\xff"))
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.ends_with("is not UTF-8\nhint: rename the file or folder\n"),
        "{text}"
    );
}

#[test]
fn the_resolved_config_runs_again_and_is_the_same_run() {
    let workspace = Workspace::with_pairs();
    let first = workspace.succeed(&[
        "run",
        "experiment.toml",
        "--json",
        "--set",
        "train.epochs=1",
    ]);
    let first: serde_json::Value = serde_json::from_str(&first).expect("one object");
    let run = first["run"].as_str().expect("a path");
    assert!(run.starts_with("runs/experiment-"), "{run}");
    std::fs::copy(
        workspace.path(run).join("config.toml"),
        workspace.path("again.toml"),
    )
    .expect("a copy");
    let again = workspace.succeed(&["run", "again.toml", "--out", run, "--json"]);
    let again: serde_json::Value = serde_json::from_str(&again).expect("one object");
    assert_eq!(again["found_done"], true);
    assert_eq!(again["valid_auc"], first["valid_auc"]);
}

/// What a preset has and the run has not does not come back.
#[test]
fn the_resolved_config_of_a_preset_without_its_stages_is_the_same_run() {
    let workspace = Workspace::with_pairs();
    let settings = [
        "--set=preset=good",
        "--set=stage=[]",
        "--set=train.epochs=1",
    ];
    workspace.succeed(&[&["run", "experiment.toml", "--out=out"], &settings[..]].concat());
    let again = workspace.succeed(&["run", "out/config.toml", "--out=out", "--json"]);
    let again: serde_json::Value = serde_json::from_str(&again).expect("one object");
    assert_eq!(again["found_done"], true);
}

#[test]
fn the_environment_chooses_among_precisions_that_there_are() {
    let workspace = Workspace::with_pairs();
    let run = |precision: &str, out: &str| {
        let mut command = workspace.command(&["run", "experiment.toml", "--out", out]);
        let command = command.env("CIPHERPET_PRECISION", precision);
        command.output().expect("the command starts")
    };
    let refused = run("fp32", "none");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "error: the environment sets CIPHERPET_PRECISION to `fp32`\n\
         hint: set `f32`, `bf16` or `auto`, or unset it\n"
    );
    assert!(!workspace.exists("none"));

    assert!(run("f32", "out").status.success());
    let path = workspace.json("out/manifest.json")["kernel_path"].clone();
    let path = path.as_str().expect("a name");
    assert!(path.starts_with("f32 "), "{path}");
}

#[test]
fn commands_refuse_settings_that_they_do_not_read() {
    let workspace = Workspace::with_pairs();
    let refused = |arguments: &[&str], assignment: &str| {
        let command = workspace
            .command(&[arguments, &["--set", assignment]].concat())
            .output();
        let output = command.expect("the command starts");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    workspace.write("plain.txt", "ab\n");
    let pairs = ["--pairs", "train.tsv", "--plain", "plain.txt"];
    let align = [&["align"], &pairs[..], &["--out", "m.tsv"]].concat();
    assert_eq!(
        refused(&align, "train.epochs=0"),
        "error: --set train.epochs=0: expected a key that `align` reads, found `train.epochs`\n\
         hint: `align` reads task.kind, task.labels, data.delimiter, data.header, data.text_a, data.text_b, \
         data.label, data.label_separator, data.token_separator, data.tokens, data.max_tokens, vocab.min_count, train.precision\n"
    );
    assert!(!workspace.exists("m.tsv"));
    let audit = [&["audit"], &pairs[..]].concat();
    let inspect = ["inspect", "train.tsv"];
    let check = ["check", "s.csv", "--test", "test.tsv"];
    for (arguments, assignment) in [
        (&audit[..], "data.train=other.tsv"),
        (&inspect, "train.batch=8"),
        (&inspect, "grid.seed=[0, 1]"),
        (&check, "vocab.min_count=1"),
    ] {
        let message = refused(arguments, assignment);
        let expected = format!(
            "error: --set {assignment}: expected a key that `{}` reads, ",
            arguments[0]
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    let message = refused(&align, "train.epoch=0");
    assert!(
        message.contains("did you mean `train.epochs`?"),
        "{message}"
    );
    workspace.succeed(&[&inspect[..], &["--set", "train.epochs=1"]].concat());
}

/// What the READMEs say of a preset is what its file sets, all of it.
#[test]
fn presets_are_what_the_readmes_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for readme in ["README.md", "README.zh.md"] {
        let text = std::fs::read_to_string(folder.join(readme)).expect("a README");
        for preset in Preset::ALL {
            let begin = format!("| `{}` |", preset.name());
            let row = text.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("{readme} has no row of {}", preset.name()));
            let settings = preset.text().lines();
            let settings: Vec<&str> = settings.filter(|line| line.contains(" = ")).collect();
            for setting in &settings {
                assert!(
                    row.contains(&format!("`{setting}`")),
                    "{readme}: {setting}: {row}"
                );
            }
            assert_eq!(
                row.matches(" = ").count(),
                settings.len(),
                "{readme}: {row}"
            );
        }
    }
}
