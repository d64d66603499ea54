//! Submissions by hand: every form, every refusal.

use super::*;
use crate::config::SubmitFormat;

/// A folder with `test.tsv` of `rows` rows, and with `test.csv`, whose column `row` holds `b, a, d, c, …`.
fn folder(rows: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lines: String = (0..rows).map(|i| format!("{i}\t{i}\n")).collect();
    std::fs::write(folder.path().join("test.tsv"), lines).expect("a small file");
    let id = |i: usize| char::from(b'a' + (i as u8 ^ 1));
    let lines: String = (0..rows).map(|i| format!("{i},{i},{}\n", id(i))).collect();
    std::fs::write(
        folder.path().join("test.csv"),
        format!("q1,q2,row\n{lines}"),
    )
    .expect("a small file");
    folder
}

/// As [`write`], of one score a row.
fn write_single(
    scores: &[f32],
    rows: (&Path, &ExampleFormat),
    submit: &SubmitConfig,
    out: &Path,
) -> Result<WrittenSubmission> {
    let scores = Scores::single(scores.to_vec());
    write(
        (&scores, &Task::binary_pairs()),
        rows,
        (submit, RowsOf::Test),
        out,
    )
}

/// As [`leave`], of one score a row.
fn leave_single(
    scores: &[f32],
    experiment: &Experiment,
    origin: (&str, Vec<Source>),
    folder: &Path,
    progress: &Progress,
) -> Result<()> {
    let scores = Scores::single(scores.to_vec());
    let answers = (&scores, &Task::binary_pairs());
    leave(answers, experiment, origin, folder, progress)
}

fn with_header() -> ExampleFormat {
    ExampleFormat {
        delimiter: ',',
        header: true,
        ..ExampleFormat::default()
    }
}

fn csv() -> SubmitConfig {
    SubmitConfig {
        format: SubmitFormat::Csv,
        id_column: Some("row".to_owned()),
        ..SubmitConfig::default()
    }
}

fn probabilities() -> SubmitConfig {
    SubmitConfig {
        probability: true,
        ..SubmitConfig::default()
    }
}

#[test]
fn a_score_that_is_not_finite_is_never_written() {
    let folder = folder(2);
    let out = folder.path().join("submission.csv");
    let rows = (Path::new("test.tsv"), &ExampleFormat::default());
    let error =
        write_single(&[0.5, f32::NAN], rows, &SubmitConfig::default(), &out).expect_err("NaN");
    let message = "the score of row 1 (from 0) is NaN: the training has diverged";
    assert_eq!(error.to_string(), message);
    assert!(!out.exists());
}

#[test]
fn every_form_is_written_as_it_says_and_passes_its_check() {
    let folder = folder(3);
    let at = |name: &str| folder.path().join(name);
    let out = at("s.csv");
    let both = SubmitConfig {
        probability: true,
        ..csv()
    };
    let plain = (at("test.tsv"), ExampleFormat::default());
    let named = (at("test.csv"), with_header());
    // sigmoid(0) = 1/2; the others are no short decimals
    let cases = [
        (
            &plain,
            SubmitConfig::default(),
            "0.00000000\n-1.00000000\n0.500000000\n",
        ),
        (
            &plain,
            probabilities(),
            "0.500000000\n0.2689414213699951\n0.6224593312018546\n",
        ),
        (
            &plain,
            csv(),
            "row,score\n0,0.00000000\n1,-1.00000000\n2,0.500000000\n",
        ),
        (
            &named,
            csv(),
            "row,score\nb,0.00000000\na,-1.00000000\nd,0.500000000\n",
        ),
        (
            &named,
            both,
            "row,score\nb,0.500000000\na,0.2689414213699951\nd,0.6224593312018546\n",
        ),
    ];
    for ((test, format), submit, expected) in cases {
        let written =
            write_single(&[0.0, -1.0, 0.5], (test, format), &submit, &out).expect("finite");
        assert_eq!(std::fs::read_to_string(&out).expect("the file"), expected);
        let has_remark = submit.format == SubmitFormat::Csv && !format.header;
        assert_eq!(
            written.remarks.len(),
            usize::from(has_remark),
            "{written:?}"
        );
        let checked = check((&out, &Task::binary_pairs()), (test, format), &submit, None)
            .expect("our own submission");
        assert_eq!((checked.scores, checked.distinct), (3, 3));
    }
}

#[test]
fn ids_that_are_row_numbers_are_remarked() {
    let folder = folder(1);
    let test = folder.path().join("test.tsv");
    let rows = (test.as_path(), &ExampleFormat::default());
    let written = write_single(&[1.0], rows, &csv(), &folder.path().join("s.csv")).expect("finite");
    let expected = format!(
        "submission: {} has no column `row`, so the ids are row numbers from 0",
        test.display()
    );
    assert_eq!(written.remarks, [expected]);
}

#[test]
fn probabilities_that_tie_where_scores_do_not_are_remarked() {
    let folder = folder(4);
    let rows = (Path::new("test.tsv"), &ExampleFormat::default());
    let out = folder.path().join("s.csv");
    let scores = [40.0, 41.0, -40.0, -41.0]; // 1 - 4e-18 is 1 in f64, 4e-18 is itself
    let written = write_single(&scores, rows, &probabilities(), &out).expect("finite");
    assert_eq!((written.distinct, written.distinct_written), (4, 3));
    assert_eq!(
        written.remarks,
        [
            "submission: 4 different scores are 3 different probabilities, as those near 1 run out of digits; \
          AUC sees ties there, and none with submit.probability = false"
        ]
    );
    let written = write_single(&scores, rows, &SubmitConfig::default(), &out).expect("finite");
    assert!(written.remarks.is_empty());
}

#[test]
fn what_is_left_is_a_checked_submission_with_its_record() {
    let folder = folder(3);
    let mut experiment = Experiment::default();
    experiment.data.test = Some(folder.path().join("test.tsv"));
    let source = || {
        vec![Source {
            run: "runs/a".into(),
            config_sha256: "5eed".to_owned(),
            weight: 1.0,
        }]
    };
    let scores = [0.5, -1.0, 0.5];
    let silent = Progress::silent();
    leave_single(
        &scores,
        &experiment,
        ("run", source()),
        folder.path(),
        &silent,
    )
    .expect("three rows");
    assert!(!folder.path().join("test.csv.json").exists());
    let json =
        std::fs::read_to_string(folder.path().join("submission.csv.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(record["runs"][0]["config_sha256"], "5eed");
    assert_eq!(
        (&record["how"], &record["distinct_scores"]),
        (&"run".into(), &2.into())
    );
    assert_eq!(record["files"][1]["path"], "submission.zip");
    assert_eq!(record["test_sha256"].as_str().map(str::len), Some(64));
    assert!(record["like_sha256"].is_null()); // there is no sample
    assert!(record["command"].is_null()); // several processes may finish a run

    let error = leave_single(
        &scores[..2],
        &experiment,
        ("run", source()),
        folder.path(),
        &silent,
    )
    .expect_err("a row without a score");
    assert!(
        error
            .to_string()
            .contains("submission.csv: expected 3 scores, one a row of ")
    );
    experiment.submit = csv();
    let error = leave_single(
        &scores[..2],
        &experiment,
        ("run", source()),
        folder.path(),
        &silent,
    )
    .expect_err("a row without a score");
    assert!(
        error
            .to_string()
            .contains("submission.csv: expected 3 scores, one a row of ")
    );
    experiment.data.test = None;
    let error = leave_single(
        &scores,
        &experiment,
        ("run", source()),
        folder.path(),
        &silent,
    );
    assert_eq!(
        error.expect_err("no rows").to_string(),
        "a submission needs data.test"
    );
}

#[test]
fn scores_that_are_not_one_a_named_row_are_never_written() {
    let folder = folder(3);
    let test = folder.path().join("test.csv");
    let out = folder.path().join("s.csv");
    let error =
        write_single(&[1.0, 2.0], (&test, &with_header()), &csv(), &out).expect_err("3 ids");
    let message = error
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(
        message,
        "test.csv:row: expected 2 ids, one a score, found 3"
    );
    assert!(!out.exists());
}

/// Checks each text; the message with the folder taken out.
fn refusals(
    submit: &SubmitConfig,
    range: Option<std::ops::RangeInclusive<f64>>,
    cases: &[(&str, &str)],
) {
    let folder = folder(2);
    let at = |name: &str| folder.path().join(name);
    let (test, format) = match submit.format {
        SubmitFormat::Plain | SubmitFormat::Auto => (at("test.tsv"), ExampleFormat::default()),
        SubmitFormat::Csv => (at("test.csv"), with_header()),
    };
    let prefix = format!("{}/", folder.path().display());
    for (text, expected) in cases {
        std::fs::write(at("s.csv"), text).expect("a small file");
        let checked = check(
            (&at("s.csv"), &Task::binary_pairs()),
            (&test, &format),
            submit,
            range.clone(),
        );
        let message = checked.expect_err(text).to_string();
        assert_eq!(message.replace(&prefix, ""), *expected);
    }
}

#[test]
fn bad_plain_submissions_are_refused_with_the_line() {
    refusals(
        &SubmitConfig::default(),
        Some(0.0..=1.0),
        &[
            (
                "0.5\n",
                "s.csv: expected 2 scores, one a row of test.tsv, found 1",
            ),
            (
                "0.5\n1\n0\n",
                "s.csv: expected 2 scores, one a row of test.tsv, found 3",
            ),
            (
                "score\n1\n",
                "s.csv:1: expected one number and nothing else, found `score`",
            ),
            (
                "1\n0,5\n",
                "s.csv:2: expected one number and nothing else, found `0,5`",
            ),
            ("1\n\n2\n", "s.csv:2: expected a score, found an empty line"),
            ("1\nnan\n", "s.csv:2: expected a finite number, found `nan`"),
            (
                "-inf\n1\n",
                "s.csv:1: expected a finite number, found `-inf`",
            ),
            (
                "1\n1.5\n",
                "s.csv:2: expected a number from 0 to 1, found `1.5`",
            ),
        ],
    );
    refusals(
        &probabilities(),
        None,
        &[(
            "1\n1.5\n",
            "s.csv:2: expected a number from 0 to 1, found `1.5`",
        )],
    );
}

#[test]
fn bad_csv_submissions_are_refused_with_the_line() {
    refusals(
        &csv(),
        None,
        &[
            (
                "",
                "s.csv: expected the header `row,score`, found an empty file",
            ),
            (
                "b,1\na,2\n",
                "s.csv:1: expected the header `row,score`, found `b,1`",
            ),
            (
                "row,score\nb,1\n",
                "s.csv: expected 2 scores, one a row of test.csv, found 1",
            ),
            (
                "row,score\nb,1\na,2\nd,3\n",
                "s.csv: expected 2 scores, one a row of test.csv, found 3",
            ),
            (
                "row,score\na,1\nb,2\n",
                "s.csv:2:row: expected `b`, the id of row 0 (from 0) of the test file, found `a`",
            ),
            (
                "row,score\nb,1\nb,2\n",
                "s.csv:3:row: expected each id once, found `b`, which stands at s.csv:2 too",
            ),
            (
                "row,score\nb,1,2\n",
                "s.csv:2: expected an id and a score, found 3 fields",
            ),
            (
                "row,score\nb,\n",
                "s.csv:2:score: expected a score, found nothing",
            ),
            (
                "row,score\nb,x\n",
                "s.csv:2:score: expected one number and nothing else, found `x`",
            ),
            (
                "row,score\nb,inf\n",
                "s.csv:2:score: expected a finite number, found `inf`",
            ),
        ],
    );
}
