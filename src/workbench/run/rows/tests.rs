//! Which rows a stage has, and what the vocabulary counts.

use std::path::Path;

use super::*;
use crate::config::Valid;
use crate::data::{Assign, CipherId, Target, ValidSplit};

/// 20 rows `i 0 <TAB> i+1 0 <TAB> i%2`, a labelled test file and an extra file.
fn experiment(folder: &Path) -> Experiment {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let train = (0..20)
        .map(|i| format!("{i} 0\t{} 0\t{}\n", i + 1, i % 2))
        .collect();
    let mut experiment = Experiment::default();
    experiment.data.train = vec![write("train.tsv", train)];
    experiment.data.test = Some(write("test.tsv", "1\t2\t1\n3\t4\t0\n".to_owned()));
    experiment.data.unlabelled = vec![write("extra.tsv", "77\t77\n".to_owned())];
    experiment.vocab.min_count = 1;
    experiment
}

/// 12 sentences of 31 tokens, each in 5 rows beside another of 6 to 10 tokens: of the 32 tokens of a row it keeps 26 to 22. A test row
/// has one of them beside 15 tokens.
fn long_sentences(folder: &Path) -> Experiment {
    let long = |sentence: usize| format!("{sentence} {} {}", ["900"; 29].join(" "), 500 + sentence);
    let row = |row: usize| {
        let short = ["901"; 5].join(" ") + &" 902".repeat(row % 5);
        format!("{}\t{short} {}\t{}\n", long(row / 5), 100 + row, row % 2)
    };
    let mut experiment = experiment(folder);
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write("train.tsv", (0..60).map(row).collect()).expect("a small file");
    let test = format!("{}\t{}\n", long(3), ["903"; 15].join(" "));
    write("test.tsv", test).expect("a small file");
    experiment.data.max_tokens = 32;
    experiment
}

#[test]
fn rows_share_whole_sentences_however_each_is_cut() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = long_sentences(folder.path());
    experiment.data.valid = Valid::Split(ValidSplit::Group);
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let is_held_out = |row: usize| rows.held_out.contains(&row);
    assert!(!rows.held_out.is_empty());
    for row in 0..60 {
        assert_eq!(is_held_out(row), is_held_out(row / 5 * 5), "{row}");
    }
    experiment.folds.k = 3;
    experiment.folds.assign = Assign::Group;
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let folds = rows.folds.expect("three folds");
    for (row, fold) in folds.first_repeat().iter().enumerate() {
        assert_eq!(*fold, folds.first_repeat()[row / 5 * 5], "{row}");
    }
    assert_eq!(folds.shares.test_with_train, Some(1.0));
    experiment.folds.assign = Assign::Row;
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let folds = rows.folds.expect("three folds");
    assert!(folds.is_shared.iter().filter(|shared| **shared).count() > 50);
}

#[test]
fn a_stage_that_folds_share_says_nothing_of_rows_to_validate() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let files = experiment(folder.path());
    let settings = ["preset=good".to_owned()];
    let loaded = crate::config::load(None, &settings).expect("a known preset");
    let mut staged = loaded.experiment;
    staged.data = files.data;
    staged.vocab = files.vocab;
    let log = folder.path().join("log");
    let progress = Progress::silent().logging_to(&log).expect("a small file");
    let rows = Rows::read(&staged, &progress).expect("good files");
    let fit = rows.fit(&rows.held_out, &staged, &progress);
    assert_eq!(fit.expect("rows").valid.len(), 2);
    let said = std::fs::read_to_string(&log).expect("a log");
    let line_of = |stage: &str| {
        let begins = format!("stage {stage}: rows: ");
        let line = said.lines().find(|line| line.starts_with(&begins));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    assert!(line_of("mlm").ends_with(" unlabelled to train"), "{said}");
    let labels =
        "stage labels: rows: 18 labelled and 0 unlabelled to train, 2 to validate, 2 to score";
    assert_eq!(line_of("labels"), labels);
}

#[test]
fn the_model_and_its_vocabulary_see_what_is_left_of_a_row() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let experiment = long_sentences(folder.path());
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let kept: Vec<usize> = rows.labelled[..5].iter().map(|row| row.a.len()).collect();
    assert_eq!(kept, [26, 25, 24, 23, 22]);
    assert_eq!(rows.test[0].n_tokens(), 32 + 3);
    let row = |id: u32| rows.vocab.row(CipherId(id));
    assert!(row(100).is_some() && row(500).is_none());
}

#[test]
fn texts_have_the_numbers_of_what_was_read() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = long_sentences(folder.path());
    experiment.vocab.min_count = 3; // the tokens that tell short texts apart are [UNK]
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let numbers = |row: usize| rows.labelled[row].text_numbers.expect("numbers");
    let (first, other) = (&rows.labelled[0], &rows.labelled[1]);
    assert_ne!(first.a, other.a, "cut to another length");
    assert_eq!(numbers(0)[0], numbers(1)[0]);
    let (first, other) = (&rows.labelled[0], &rows.labelled[5]);
    assert_eq!(first.b, other.b);
    assert_ne!(numbers(0)[1], numbers(5)[1]);
    let test = rows.test[0].text_numbers.expect("numbers");
    assert_eq!(test[0], numbers(3 * 5)[0]);
    assert!(rows.extra[0].text_numbers.is_none());
}

/// 40 positive pairs whose first texts differ in a token that stands nowhere else.
#[test]
fn rare_tokens_imply_no_pairs() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = experiment(folder.path());
    let row = |row: usize| format!("1 2 {}\t{} {}\t1\n", 100 + row, 3 + row % 2, 5 + row / 2);
    let negative = "5 6\t7 8\t0\n".to_owned();
    let text: String = (0..40).map(row).chain([negative]).collect();
    std::fs::write(&experiment.data.train[0], text).expect("a small file");
    experiment.data.valid = Valid::Split(ValidSplit::None);
    experiment.data.transitive_closure = true;
    experiment.vocab.min_count = 2;
    let rows = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let fit = rows.fit(&[], &experiment, &Progress::silent());
    assert_eq!(fit.expect("rows").train.len(), 41);
}

#[test]
fn validation_and_test_rows_join_training_without_labels_and_only_there() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let experiment = experiment(folder.path());
    let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let rows = all
        .fit(&all.held_out, &experiment, &Progress::silent())
        .expect("no pairs are asked for");
    let stage = &experiment.stages()[0];
    let learnt = all.of_stage(stage, &rows);
    assert_eq!(rows.valid_numbers, [0, 10]);
    assert_eq!((rows.train.len(), learnt.len()), (18, 18 + 2 + 2 + 1));
    assert!(learnt[..18].iter().all(|row| row.target.is_known()));
    assert!(learnt[18..].iter().all(|row| !row.target.is_known()));
    assert!(rows.valid.iter().all(|row| row.target == Target::Class(0)));
    assert!(all.test.iter().all(|row| !row.target.is_known()));
    assert_eq!(learnt[18].a, rows.valid[0].a);
}

#[test]
fn a_stage_without_labels_has_the_same_rows_whichever_are_held_out() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let experiment = experiment(folder.path());
    let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let mut stage = experiment.stages().remove(0);
    stage.objective = ObjectiveName::Mlm;
    let of = |held_out: &[usize], stage: &Stage| {
        let rows = all
            .fit(held_out, &experiment, &Progress::silent())
            .expect("no pairs are asked for");
        all.of_stage(stage, &rows)
    };
    let rows = of(&[0, 10], &stage);
    assert_eq!(rows, of(&[3, 4, 5], &stage));
    assert_eq!(rows.len(), 20 + 2 + 1);
    assert!(rows.iter().all(|row| !row.target.is_known()));
    // Without the held-out rows it depends on them.
    stage.rows.retain(|&source| source != StageRows::Valid);
    assert_ne!(of(&[0, 10], &stage), of(&[3, 4, 5], &stage));
}

#[test]
fn files_of_a_stage_are_read_and_counted_for_it_alone() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = experiment(folder.path());
    let more = folder.path().join("more.tsv");
    std::fs::write(&more, "88\t88\n").expect("a small file");
    let text = format!("[[stage]]\nname = \"first\"\nobjective = \"mlm\"\nfiles = {more:?}\n");
    let text = text + "[[stage]]\nname = \"task\"\n";
    experiment.stage = toml::from_str::<Experiment>(&text)
        .expect("two stages")
        .stage;
    let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let rows = all
        .fit(&all.held_out, &experiment, &Progress::silent())
        .expect("no pairs are asked for");
    let [first, task] = &experiment.stages()[..] else {
        panic!("two stages")
    };
    let (first, task) = (all.of_stage(first, &rows), all.of_stage(task, &rows));
    assert_eq!(first.len(), 20 + 2 + 1 + 1);
    assert_eq!(task.len(), 18 + 2 + 2 + 1);
    assert_eq!(
        all.vocab.row(crate::data::CipherId(88)),
        Some(first[23].a[0])
    );
}

#[test]
fn rows_that_take_no_part_do_not_shape_the_vocabulary() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = experiment(folder.path());
    let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
    experiment.train.unlabelled = vec![];
    let few = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let trained = few
        .fit(&few.held_out, &experiment, &Progress::silent())
        .expect("no pairs are asked for");
    assert_eq!(few.of_stage(&experiment.stages()[0], &trained).len(), 18);
    assert_eq!(all.vocab.kept.len(), few.vocab.kept.len() + 1); // 77
}

#[test]
fn a_stage_that_hides_no_token_has_the_rows_that_its_objective_uses() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = experiment(folder.path());
    let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
    let log = folder.path().join("log");
    let mut rows_of = |name: ObjectiveName| {
        experiment.objective.name = name;
        let progress = Progress::silent().logging_to(&log).expect("a small file");
        let rows = Rows::read(&experiment, &progress).expect("good files");
        let fit = rows.fit(&rows.held_out, &experiment, &progress);
        let learnt = rows.of_stage(&experiment.stages()[0], &fit.expect("rows"));
        (learnt, rows.vocab.kept.len())
    };
    let (learnt, tokens) = rows_of(ObjectiveName::Ce);
    assert!(learnt.len() == 18 && learnt.iter().all(|row| row.target.is_known()));
    assert_eq!(
        tokens,
        all.vocab.kept.len() - 1,
        "77 is learnt from by nobody"
    );
    let (learnt, _) = rows_of(ObjectiveName::Simbert);
    assert_eq!(learnt.len(), 10);
    assert!(learnt.iter().all(|row| row.target == Target::Class(1)));
    let said = std::fs::read_to_string(&log).expect("a log");
    for line in [
        "rows: 18 labelled and 0 unlabelled to train, 2 to validate, 2 to score",
        "rows: 10 labelled and 0 unlabelled to train, 2 to validate, 2 to score",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_vocabulary_without_tokens_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut experiment = experiment(folder.path());
    experiment.vocab.min_count = 1000;
    let error = Rows::read(&experiment, &Progress::silent())
        .err()
        .expect("no token is that frequent");
    assert_eq!(
        error.to_string(),
        "vocab.min_count: expected a token that stands in the rows 1000 times or more, found none"
    );
}
