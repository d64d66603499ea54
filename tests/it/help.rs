//! Help pages: what a user reads first.

use crate::workspace::Workspace;

#[test]
fn help_of_the_tool_and_of_every_command() {
    let workspace = Workspace::empty();
    insta::assert_snapshot!("help", workspace.snapshot(&["--help"]));
    for command in [
        "run",
        "slurm",
        "predict",
        "zero-shot",
        "generate",
        "augment",
        "embed",
        "search",
        "pretrain",
        "report",
        "check",
        "ensemble",
        "board",
        "score",
        "pack",
        "count",
        "cipher",
        "align",
        "audit",
        "inspect",
        "duplicates",
        "hash",
        "completions",
        "man",
    ] {
        let page = workspace.snapshot(&[command, "--help"]);
        assert!(page.contains("Example"), "{command} --help has no example");
        insta::assert_snapshot!(format!("help_{command}"), page);
    }
}

#[test]
fn help_is_a_command_too() {
    let workspace = Workspace::empty();
    let page = |arguments: &[&str]| workspace.succeed(arguments);
    assert_eq!(page(&["help", "run"]), page(&["run", "--help"]));
}

#[test]
fn wrong_usage_names_what_was_meant() {
    let workspace = Workspace::empty();
    for (arguments, tip) in [
        (
            &["run", "e.toml", "--epochs", "3"][..],
            "tip: write `--set train.epochs=3`\n",
        ),
        (
            &["run", "--learning-rate=2e-5"],
            "tip: write `--set train.learning_rate=2e-5`\n",
        ),
        (&["train", "e.toml"], "tip: `cipherpet run` trains\n"),
    ] {
        let output = workspace.run(arguments);
        let shown = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(shown.contains(tip), "{arguments:?}: {shown}");
        assert!(!shown.contains("-- --"), "{arguments:?}: {shown}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_writes_nothing_on_stdout() {
    let workspace = Workspace::empty();
    for arguments in [
        &["run", "--sett", "a=1"][..],
        &["train"],
        &["check", "a.csv"],
        &["run", "--threads", "0"],
        &["run", "--seed", "-1"],
        &["check", "a.csv", "--test", "t.tsv", "--range", "1,0"],
    ] {
        let output = workspace.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn completions_of_every_shell_know_the_commands() {
    let workspace = Workspace::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = workspace.succeed(&["completions", shell]);
        for word in ["ensemble", "one-by-one", "max-minutes"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = workspace.run(&["completions", "cmd"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn manual_pages_are_one_a_command_with_its_options_and_examples() {
    let workspace = Workspace::empty();
    workspace.succeed(&["man", "--out", "share/man1"]);
    let help = workspace.succeed(&["--help"]);
    let list = help.split("Commands:").nth(1).expect("a list");
    let list = list.split("Options:").next().expect("before the options");
    let commands = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut pages: Vec<String> = commands
        .map(|line| {
            let command = line.split_whitespace().next().expect("a name");
            format!("cipherpet-{command}.1")
        })
        .chain(["cipherpet.1".to_owned()])
        .collect();
    pages.sort();
    assert_eq!(workspace.names("share/man1"), pages);
    let page = workspace.text("share/man1/cipherpet-run.1");
    for part in [
        ".TH cipherpet-run 1",
        "max\\-minutes",
        "threads",
        "cipherpet run experiment.toml",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let tool = workspace.text("share/man1/cipherpet.1");
    assert!(tool.contains("cipherpet\\-run(1)"), "{tool}");
}
