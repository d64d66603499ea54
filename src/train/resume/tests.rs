//! States of a fit, written and read back.

use super::*;
use crate::checkpoint::{BertConfig, Heads};
use crate::metrics::{MetricName, ValidFigures};
use crate::objective::{LossPart, ObjectiveName};
use crate::random::Key;
use crate::train::CurvePoint;

fn origin(tool: &str, kernel_path: &str) -> Origin {
    Origin {
        tool: tool.to_owned(),
        kernel_path: kernel_path.to_owned(),
    }
}

fn open(folder: &Path) -> Checkpoints {
    Checkpoints::open(folder, origin("cipherpet 1", "f32 avx2")).expect("readable")
}

fn model() -> Bert {
    let config = BertConfig {
        vocab_size: 7,
        hidden_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        intermediate_size: 3,
        max_position_embeddings: 5,
        ..BertConfig::default()
    };
    let heads = Heads::MLM;
    Bert::initialise(
        config,
        heads,
        crate::kernels::path::Path::F32,
        Key::from_seed(3),
    )
    .expect("a small model")
}

/// A state whose numbers do not read back from short decimals.
fn state(step: usize, model: &Bert) -> FitState {
    let weights = model.weights();
    let moments = weights.iter().map(|(name, array)| {
        let scaled = |scale: f32| array.iter().map(|x| x * scale).collect();
        (name.clone(), scaled(0.3), scaled(1e-20))
    });
    let moments = Moments::restored(step as u64, moments);
    let part = |name: &str, sum| LossPart::new(name, sum, 3);
    let progress = FitProgress {
        stage: 1,
        step,
        epoch_step: 1,
        sums: LossSums {
            loss: 0.1 + 0.2,
            n: 4,
            parts: vec![part("mlm", 1.0 / 3.0), part("label", 2.0 / 3.0)],
        },
        epochs: vec![EpochReport {
            stage: "first".to_owned(),
            objective: ObjectiveName::Ce,
            epoch: 1,
            steps: 2,
            loss: 2.0_f64.sqrt(),
            losses: [("mlm_loss", f64::MIN_POSITIVE), ("label_loss", 1e300 / 7.0)]
                .map(|(name, loss)| (name.to_owned(), loss))
                .into(),
            learning_rate: 3e-4 / 7.0,
            valid: ValidFigures {
                valid_score: Some(0.1 + 0.7),
                ..ValidFigures::new(
                    MetricName::MacroF1,
                    [(MetricName::LogLoss, 1.0 / 3.0)].into(),
                )
            },
            seconds: 0.1,
            tokens_per_second: 1e5 / 3.0,
            held_out: [("perplexity".to_owned(), 1e5 / 7.0)].into(),
            curve: vec![CurvePoint {
                step: 2,
                loss: 1.0 / 3.0,
                learning_rate: 1e-4 / 3.0,
                losses: [("mlm_loss".to_owned(), 1e300 / 7.0)].into(),
            }],
        }],
        curve: (
            Vec::new(),
            LossSums {
                loss: 1.0 / 7.0,
                n: 2,
                parts: vec![part("mlm", 1.0 / 9.0)],
            },
        ),
        epochs_before: 0,
        best_epoch: Some(1),
        averaged: 7,
        clock: Clock {
            skip: 3,
            total: (7, Duration::from_nanos(123_456_789_123)),
            epoch: (7, Duration::from_nanos(1)),
        },
        seconds: 1.0 / 7.0,
        epoch_seconds: 1.0 / 9.0,
    };
    FitState {
        progress,
        moments,
        best: Some(Best {
            valid_scores: Scores {
                width: 2,
                values: vec![0.1, -0.0, f32::MIN_POSITIVE, 7.0],
            },
            weights: Some(weights.clone()),
        }),
        average: Some(Average {
            weights: weights.clone(),
            n: 7,
        }),
        weights,
    }
}

fn save(checkpoints: &mut Checkpoints, model: &Bert, state: &FitState) {
    let snapshot = Snapshot {
        progress: &state.progress,
        model,
        moments: &state.moments,
        best: state.best.as_ref(),
        average: state.average.as_ref(),
    };
    checkpoints.save(&snapshot).expect("room for a small model");
}

#[test]
fn what_is_saved_reads_back_bit_for_bit_and_two_are_kept() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let folder = parent.path().join("checkpoint");
    let model = model();
    let mut checkpoints = open(&folder);
    assert_eq!(checkpoints.newest().expect("readable"), (None, vec![]));
    for step in 1..=3 {
        save(&mut checkpoints, &model, &state(step, &model));
    }
    assert_eq!(files(&folder).expect("a folder").len(), 4);
    let (found, faults) = open(&folder).newest().expect("readable");
    assert_eq!(found, Some(state(3, &model)));
    assert!(faults.is_empty());

    let mut again = open(&folder);
    save(&mut again, &model, &state(4, &model));
    let (found, _) = open(&folder).newest().expect("readable");
    assert_eq!(found.map(|state| state.progress.step), Some(4));
}

#[test]
fn before_the_first_epoch_and_after_the_last_step_there_is_less_to_save() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let model = model();
    let mut state = state(0, &model);
    state.moments = Moments::default();
    for best in [
        None,
        Some(Best {
            valid_scores: Scores::new(1), // no validation rows
            weights: None,
        }),
    ] {
        state.best = best;
        save(&mut open(folder.path()), &model, &state);
        let (found, _) = open(folder.path()).newest().expect("readable");
        assert_eq!(found.as_ref(), Some(&state));
    }
}

#[test]
fn what_was_not_finished_does_not_count_and_is_removed() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let model = model();
    save(&mut open(folder.path()), &model, &state(1, &model));
    for name in ["2.safetensors", ".tmpa1b2", ".unfinished-a1b2"] {
        std::fs::write(folder.path().join(name), "half").expect("a small file");
    }
    let mut checkpoints = open(folder.path());
    assert_eq!(files(folder.path()).expect("a folder").len(), 2);
    let (found, faults) = checkpoints.newest().expect("readable");
    assert!(found.is_some() && faults.is_empty());
}

#[test]
fn a_checkpoint_of_other_kernels_or_another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let model = model();
    save(&mut open(folder.path()), &model, &state(1, &model));
    let refusal = |tool, kernel_path| {
        let mut checkpoints =
            Checkpoints::open(folder.path(), origin(tool, kernel_path)).expect("readable");
        let error = checkpoints.newest().expect_err("another origin");
        assert!(error.hint().is_some_and(|hint| hint.contains("--out")));
        let place = format!("{}/", folder.path().display());
        error.to_string().replace(&place, "")
    };
    assert_eq!(
        refusal("cipherpet 1", "f32 avx512"),
        "1.json was made with the kernels `f32 avx2`, here is `f32 avx512`: the result would be like neither of the two"
    );
    assert_eq!(
        refusal("cipherpet 2", "f32 avx2"),
        "1.json was made by `cipherpet 1`, here is `cipherpet 2`: the result would be like neither of the two"
    );
    // It was not touched: the first machine can go on.
    assert!(open(folder.path()).newest().expect("readable").0.is_some());
}
