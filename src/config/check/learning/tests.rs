//! Refusals of what does not fit in `[task]`, `[objective]`, `[train]` and `[[stage]]`.

use crate::config::load;

/// The message and the hint of an otherwise good scratch experiment.
fn refusal(more: &str, assignments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("e.toml");
    std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
    let text = "data.train = \"train.tsv\"\nalign.method = \"scratch\"\n".to_owned() + more;
    std::fs::write(&file, text).expect("a small file");
    let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
    let checked = load(Some(&file), &assignments).and_then(|loaded| loaded.check());
    let Err(error) = checked else {
        return ("good".to_owned(), String::new());
    };
    let message = error.to_string();
    let at = message.find("e.toml").unwrap_or(0); // without the folder's name
    (
        message[at..].to_owned(),
        error.hint().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_metric_that_does_not_fit_the_labels() {
    let (message, hint) = refusal("[task]\nmetric = \"kappa\"\n", &[]);
    assert_eq!(
        message,
        "e.toml:4:task.metric: expected a metric for task.labels = \"binary\", found `kappa`"
    );
    assert_eq!(
        hint,
        "one of auc, accuracy, f1, macro_f1, log_loss, spearman"
    );
    assert_eq!(refusal("", &["task.metric=f1"]).0, "good");
}

#[test]
fn a_metric_of_grades_needs_scores_on_their_scale() {
    let kappa = "[task]\nlabels = \"ordinal\"\nmetric = \"kappa\"\n";
    let (message, hint) = refusal(kappa, &["objective.name=cosent"]);
    assert_eq!(
        message,
        "e.toml:5:task.metric: expected a metric of order, as the scores of `cosent` have no scale, found `kappa`"
    );
    assert_eq!(
        hint,
        "set objective.name = \"mse\", or task.metric = \"spearman\""
    );
    assert_eq!(refusal(kappa, &["objective.name=mse"]).0, "good");
    for metric in ["spearman", "pearson"] {
        let assignment = format!("task.metric={metric}");
        let assignments = ["objective.name=cosent", &assignment];
        assert_eq!(refusal(kappa, &assignments).0, "good", "{metric}");
    }
    // What comes last gives the scores.
    let stages = |last: &str| {
        let stage = |name: &str| format!("[[stage]]\nname = \"{name}\"\nobjective = \"{name}\"\n");
        let first = if last == "mse" { "cosent" } else { "mse" };
        refusal(&(kappa.to_owned() + &stage(first) + &stage(last)), &[])
    };
    assert_eq!(stages("mse").0, "good");
    let (message, hint) = stages("cosent");
    assert!(
        message.starts_with("e.toml:5:task.metric: expected a metric of order"),
        "{message}"
    );
    assert_eq!(
        hint,
        "set objective = \"mse\" in the last stage, or task.metric = \"spearman\""
    );
}

#[test]
fn an_objective_that_does_not_fit_the_labels() {
    let ordinal = "task.labels=ordinal";
    let (message, hint) = refusal("[objective]\nname = \"pet\"\n", &[ordinal]);
    assert_eq!(
        message,
        "e.toml:4:objective.name: expected an objective for task.labels = \"ordinal\", found `pet`"
    );
    assert_eq!(hint, "`pet` learns from labels that are binary or classes");
    let stage = "[[stage]]\nname = \"a\"\nobjective = \"pet\"\n";
    assert_eq!(
        refusal(stage, &[ordinal]).0,
        "e.toml:5:stage.a.objective: expected an objective for task.labels = \"ordinal\", found `pet`"
    );
}

#[test]
fn the_mlm_head_is_no_head_of_classes_in_no_stage() {
    let head = "[objective]\nhead = \"mlm\"\n";
    for name in ["ce", "bce"] {
        let (message, hint) = refusal(head, &[&format!("objective.name={name}")]);
        assert_eq!(
            message,
            format!(
                "e.toml:4:objective.head: expected `pooler` or `cls`, as `{name}` needs a linear head, found `mlm`"
            )
        );
        assert_eq!(
            hint,
            "`cosent` and `mse` may ask the MLM head; `pet` always does"
        );
    }
    let stages = head.to_owned()
        + "[[stage]]\nname = \"a\"\nobjective = \"mse\"\nhead = \"pooler\"\n[[stage]]\nname = \"b\"\nobjective = \"ce\"\n";
    let inherited = refusal(&stages, &[]).0;
    assert!(
        inherited.starts_with("e.toml:4:objective.head: expected `pooler` or `cls`"),
        "{inherited}"
    );
    let own = ["objective.head=cls", "stage.b.head=mlm"];
    let message = refusal(&stages, &own).0;
    assert!(
        message.starts_with("--set stage.b.head=mlm: expected `pooler` or `cls`"),
        "{message}"
    );
    assert_eq!(refusal(&stages, &["stage.b.head=pooler"]).0, "good");
    for name in ["pet", "mse", "cosent"] {
        assert_eq!(
            refusal(head, &[&format!("objective.name={name}")]).0,
            "good"
        );
    }
}

#[test]
fn rows_that_are_compared_with_no_other() {
    let batch = "train.batch=1";
    assert_eq!(refusal("", &[batch]).0, "good");
    for (name, does) in [
        ("cosent", "compares the rows of a batch"),
        (
            "simbert",
            "finds the partner of a text among the rows of a batch",
        ),
    ] {
        let expected = format!("2 or more, as `{name}` {does}, found 1");
        let message = format!("--set train.batch=1: expected {expected}");
        let whole = format!("objective.name={name}");
        assert_eq!(refusal("", &[batch, &whole]).0, message);
        let stage = format!("[[stage]]\nname = \"a\"\nobjective = \"{name}\"\n");
        assert_eq!(refusal(&stage, &[batch]).0, message);
        assert_eq!(refusal(&stage, &[batch, "stage.a.batch=2"]).0, "good");
        // More batches a step are no more rows of a batch.
        let own = ["stage.a.batch=1", "stage.a.gradient_accumulation=8"];
        let message = format!("--set stage.a.batch=1: expected {expected}");
        assert_eq!(refusal(&stage, &own).0, message);
    }
}

#[test]
fn probabilities_of_scores_that_are_no_logits() {
    let probability = "submit.probability=true";
    for name in ["cosent", "mse", "simbert"] {
        let (message, hint) = refusal("", &[probability, &format!("objective.name={name}")]);
        let expected = format!("false, as the scores of `{name}` are no logits, found true");
        assert_eq!(
            message,
            format!("--set submit.probability=true: expected {expected}")
        );
        assert!(
            hint.starts_with("set submit.probability = false, or"),
            "{hint}"
        );
    }
    for name in ["pet", "ce", "bce", "nsp"] {
        let name = format!("objective.name={name}");
        assert_eq!(refusal("", &[probability, &name]).0, "good");
    }
    // What comes last scores.
    let stages = "[[stage]]\nname = \"a\"\nobjective = \"cosent\"\n[[stage]]\nname = \"b\"\n";
    assert_eq!(refusal(stages, &[probability]).0, "good");
}

#[test]
fn several_label_columns_of_one_label() {
    let (message, hint) = refusal("", &["data.label=[3, 4]"]);
    assert_eq!(
        message,
        "--set data.label=[3, 4]: expected one column, as task.labels = \"binary\", found a list of 2"
    );
    assert_eq!(
        hint,
        "several columns belong to task.labels = \"multilabel\""
    );
}

#[test]
fn a_stage_without_rows() {
    let (message, hint) = refusal("[[stage]]\nname = \"a\"\nrows = [\"test\"]\n", &[]);
    assert_eq!(
        message,
        "e.toml:5:stage.a.rows: expected rows to learn from, found none"
    );
    assert!(hint.starts_with("set `rows` to one or more of"), "{hint}");
    let (message, _) = refusal("[[stage]]\nname = \"a\"\nrows = [\"valid\"]\n", &[]);
    assert_eq!(
        message,
        "e.toml:5:stage.a.rows: expected \"labelled\" among them, as `pet` learns from labels, \
         found none with a label"
    );
}

#[test]
fn two_stages_of_one_name_and_names_with_other_letters() {
    let two = "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n";
    assert_eq!(
        refusal(two, &[]),
        (
            "e.toml:6:stage.a.name: expected a name of its own, found \"a\" for two stages".into(),
            "the keys of a stage are written stage.NAME.KEY".into()
        )
    );
    assert_eq!(
        refusal("[[stage]]\nname = \"a.b\"\n", &[]).0,
        "e.toml:4:stage.a.b.name: expected letters, digits, - and _, found \"a.b\""
    );
}

#[test]
fn texts_that_were_never_swapped_are_not_scored_swapped() {
    let (message, hint) = refusal("", &["train.swap=false"]);
    assert!(
        message.ends_with(": expected false, as the last stage has swap = false, found true"),
        "{message}"
    );
    assert_eq!(hint, "set predict.swap = false, or train.swap = true");
    assert_eq!(
        refusal("", &["train.swap=false", "predict.swap=false"]).0,
        "good"
    );
    assert_eq!(
        refusal("", &["train.swap=false", "task.kind=single"]).0,
        "good"
    );
}

#[test]
fn numbers_of_stages_have_the_ranges_of_train() {
    let stage = "[[stage]]\nname = \"a\"\n";
    for (assignment, rest) in [
        ("stage.a.epochs=0", "1 or more, found 0"),
        ("stage.a.mask=1", "a number between 0 and 1, found 1"),
        (
            "stage.a.mask_unit=word",
            "one of `token`, `ngram`, `pmi`, found `word`",
        ),
        (
            "objective.mask_replacement=near",
            "`random` or `similar`, found `near`",
        ),
        ("stage.a.layer_decay=1.5", "a number from 0 to 1, found 1.5"),
        ("train.layer_decay=-1", "a number from 0 to 1, found -1"),
        ("objective.mlm_weight=-1", "a number, 0 or more, found -1"),
        ("stage.a.clip=nan", "a number, 0 or more, found NaN"),
        ("stage.a.dropout_samples=0", "1 or more, found 0"),
        (
            "stage.a.label_smoothing=1",
            "a number from 0 up to, but not, 1, found 1",
        ),
        (
            "train.average_decay=-1",
            "a number from 0 up to, but not, 1, found -1",
        ),
        ("train.adversarial_epsilon=0", "a number above 0, found 0"),
        ("train.r_drop=-1", "a number, 0 or more, found -1"),
    ] {
        let expected = format!("--set {assignment}: expected {rest}");
        assert_eq!(refusal(stage, &[assignment]).0, expected);
    }
    assert_eq!(refusal(stage, &["stage.a.epochs=1"]).0, "good");
    for (assignment, rest) in [
        (
            "stage.a.r_drop=1",
            "0, as with dropout = 0 two passes say the same, found 1",
        ),
        (
            "stage.a.dropout_samples=4",
            "1, as with dropout = 0 there is nothing to sample, found 4",
        ),
    ] {
        let expected = format!("--set {assignment}: expected {rest}");
        assert_eq!(
            refusal(stage, &["stage.a.dropout=0", assignment]).0,
            expected
        );
        assert_eq!(refusal(stage, &[assignment]).0, "good");
    }
}

#[test]
fn a_mean_over_all_epochs_of_a_stage() {
    let stage = "[[stage]]\nname = \"a\"\nepochs = 5\n";
    let (message, hint) = refusal(stage, &["stage.a.average=swa"]);
    assert!(
        message.ends_with(
            "stage.a.average=swa: expected average_epochs below the 5 epochs of the stage, found 5"
        ),
        "{message}"
    );
    assert_eq!(
        hint,
        "set fewer average_epochs, more epochs, or average = \"ema\""
    );
    for fine in ["stage.a.epochs=6", "stage.a.average_epochs=4"] {
        assert_eq!(refusal(stage, &["stage.a.average=swa", fine]).0, "good");
    }
    // What no stage uses is not judged.
    assert_eq!(
        refusal(stage, &["train.average=swa", "stage.a.average=none"]).0,
        "good"
    );
    let without_stages = refusal("", &["train.average=swa", "train.average_epochs=9"]).0;
    assert!(
        without_stages.starts_with("--set train.average=swa: expected average_epochs below"),
        "{without_stages}"
    );
}

#[test]
fn more_than_half_of_the_tokens_in_spans_that_never_touch() {
    let stage = "[[stage]]\nname = \"a\"\n";
    let ngram = "stage.a.mask_unit=ngram";
    assert_eq!(
        refusal(stage, &[ngram, "stage.a.mask=0.6"]).0,
        "--set stage.a.mask=0.6: expected 0.5 or less, as mask_unit = \"ngram\" hides no token after a span, found 0.6"
    );
    assert_eq!(refusal(stage, &[ngram, "stage.a.mask=0.5"]).0, "good");
    let pmi = ["stage.a.mask_unit=pmi", "stage.a.mask=0.6"];
    assert_eq!(refusal(stage, &pmi).0, "good");
}

#[test]
fn files_of_a_stage_and_a_sample_submission_must_be_there() {
    let stage = "[[stage]]\nname = \"a\"\nfiles = \"/no/such.tsv\"\n";
    assert_eq!(
        refusal(stage, &[]).0,
        "e.toml:5:stage.a.files: expected a file, found none at /no/such.tsv"
    );
    assert_eq!(
        refusal("", &["submit.like=/no/such.csv"]).0,
        "--set submit.like=/no/such.csv: expected a file, found none at /no/such.csv"
    );
}
