//! Kinds of step and averages of weights: what each must leave as it was, and what each must equal.

use cipherpet::checkpoint::{BertConfig, Weights};
use cipherpet::data::{EncodedExample, LabelKind, Masking, TokenTypes, reserved};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::model::{Bert, Pass, Regularisation, ops};
use cipherpet::objective::{
    Answers, Batch, Draw, HeadChoice, LossPart, Objective, ObjectiveName, ObjectiveOptions,
};
use cipherpet::random::Key;
use cipherpet::train::TrainOptions;
use cipherpet::train::average::{self, Average, AverageKind, Place};
use cipherpet::train::step::{self, Adversarial};
use dfdx::prelude::NoneTape;
use ndarray::ArrayD;

use crate::workspace::Workspace;

const VOCAB: u32 = 107;

const WORDS: &str = "bert.embeddings.word_embeddings.weight";

fn model(objective: &dyn Objective) -> Bert {
    model_in(Precision::Auto, objective)
}

fn model_in(precision: Precision, objective: &dyn Objective) -> Bert {
    let config = BertConfig {
        vocab_size: VOCAB as usize,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: 40,
        initializer_range: 0.2,
        ..BertConfig::default()
    };
    let path = Path::resolve(precision);
    let model = Bert::initialise(config, objective.heads(), path, Key::from_seed(1));
    model.expect("sizes above 0")
}

fn objective(name: ObjectiveName) -> Box<dyn Objective> {
    let options = ObjectiveOptions {
        name,
        mlm_weight: 1.0,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: None,
        choice_smoothing: 0.0,
    };
    options.objective(&Answers {
        labels: LabelKind::Binary,
        n_classes: 2,
        tokens: vec![reserved::NO, reserved::YES],
    })
}

/// Pairs of different lengths; every fifth has no label.
fn rows(n: u64) -> Vec<EncodedExample> {
    let key = Key::from_seed(2);
    let text = |row: u64, side: u64| -> Vec<u32> {
        let key = key.at(row).at(side);
        let token = |i| (key.bits(i) % u64::from(VOCAB - 7)) as u32 + 7;
        (1..=2 + key.bits(0) % 9).map(token).collect()
    };
    let target = |row: u64| match row % 5 {
        0 => Default::default(),
        rest => (rest > 2).into(),
    };
    (0..n)
        .map(|row| EncodedExample {
            a: text(row, 0),
            b: Some(text(row, 1)),
            target: target(row),
            text_numbers: None,
        })
        .collect()
}

fn batch(objective: &dyn Objective, rows: &[EncodedExample], numbers: &[usize]) -> Batch {
    let draw = Draw {
        masking: Masking::of_tokens(0.2),
        cipher_rows: reserved::FIRST_CIPHER..VOCAB,
        token_types: TokenTypes::Zero,
        swap: true,
        key: Key::from_seed(3),
    };
    objective.batch(rows, numbers, &draw)
}

/// The gradient of one step over `parts`, and its loss.
fn gradient(
    model: &mut Bert,
    options: &TrainOptions,
    objective: &dyn Objective,
    parts: &[&[usize]],
) -> (f64, Weights) {
    let rows = rows(40);
    let batches = parts.iter().map(|part| batch(objective, &rows, part));
    let batches = step::parts_of_one(batches.collect(), options);
    let key = Key::from_seed(4);
    let loss = step::gradient(model, objective, &batches, options, key).expect("memory");
    (loss.loss, model.take_gradients())
}

fn apart(a: &Weights, b: &Weights) -> f64 {
    let of = |x: &f32, y: &f32| f64::from((x - y).abs());
    let each = a
        .iter()
        .flat_map(|(name, values)| values.iter().zip(&b[name]));
    each.map(|(x, y)| of(x, y)).fold(0.0, f64::max)
}

fn norm(values: &ArrayD<f32>) -> f64 {
    let squares = values.iter().map(|x| f64::from(*x).powi(2));
    squares.sum::<f64>().sqrt()
}

fn scaled(weights: &Weights, by: f32) -> Weights {
    let each = weights.iter();
    each.map(|(name, values)| (name.clone(), values * by))
        .collect()
}

#[test]
fn adversarial_steps_leave_the_weights_as_they_were_and_change_the_gradient() {
    let objective = objective(ObjectiveName::Pet);
    let all: Vec<usize> = (0..40).collect();
    let mut model = model(&*objective);
    let before = model.weights();
    let plain = TrainOptions::default();
    let (loss, clean) = gradient(&mut model, &plain, &*objective, &[&all]);
    let mut adversarial = |adversarial, adversarial_steps| {
        let options = TrainOptions {
            adversarial,
            adversarial_steps,
            ..plain
        };
        let (same_loss, gradient) = gradient(&mut model, &options, &*objective, &[&all]);
        assert_eq!(loss, same_loss, "the loss is that of the plain pass");
        assert!(before == model.weights(), "{adversarial:?}");
        gradient
    };
    let fgm = adversarial(Adversarial::Fgm, 3);
    let pgd = adversarial(Adversarial::Pgd, 3);
    // One move that is pulled back onto the ball is that of FGM.
    assert!(apart(&fgm, &adversarial(Adversarial::Pgd, 1)) < 1e-6);
    for (a, b) in [(&clean, &fgm), (&clean, &pgd), (&fgm, &pgd)] {
        assert!(apart(a, b) > 1e-4, "{}", apart(a, b));
    }
    // The packed copies of the weights came back as well.
    let (_, again) = gradient(&mut model, &plain, &*objective, &[&all]);
    assert!(again == clean);
}

#[test]
fn fgm_adds_the_gradient_where_the_embeddings_moved_along_theirs() {
    let objective = objective(ObjectiveName::Ce);
    let all: Vec<usize> = (0..40).collect();
    let options = TrainOptions {
        dropout: 0.0, // both passes see the same network
        ..TrainOptions::default()
    };
    let mut plain = model(&*objective);
    let (_, clean) = gradient(&mut plain, &options, &*objective, &[&all]);
    let norm = norm(&clean[WORDS]);
    let mut weights = plain.weights();
    let words = weights.get_mut(WORDS).expect("a table");
    words.zip_mut_with(&clean[WORDS], |value, g| *value += (0.25 / norm) as f32 * g);
    plain.restore(&weights).expect("no tape");
    let (_, moved) = gradient(&mut plain, &options, &*objective, &[&all]);
    let fgm = TrainOptions {
        adversarial: Adversarial::Fgm,
        adversarial_epsilon: 0.25,
        ..options
    };
    let (_, both) = gradient(&mut model(&*objective), &fgm, &*objective, &[&all]);
    let mut sum = clean;
    for (name, values) in &mut sum {
        values.zip_mut_with(&moved[name], |value, other| *value += other);
    }
    assert!(apart(&sum, &both) < 1e-5, "{}", apart(&sum, &both));
}

/// The second move follows the gradient at the first place, and not the one at the origin, and ends on the ball.
#[test]
fn pgd_adds_the_gradient_at_the_last_place_of_two_moves() {
    const EPSILON: f64 = 2.0;
    let objective = objective(ObjectiveName::Ce);
    let all: Vec<usize> = (0..40).collect();
    let options = TrainOptions {
        dropout: 0.0, // all passes see the same network
        ..TrainOptions::default()
    };
    let mut by_hand = model_in(Precision::F32, &*objective);
    let origin = by_hand.weights();
    let (_, clean) = gradient(&mut by_hand, &options, &*objective, &[&all]);
    let mut offset = &clean[WORDS] * 0.0_f32;
    let mut at_places = vec![clean.clone()];
    for _ in 0..2 {
        let along = &at_places[at_places.len() - 1][WORDS];
        let step = (2.5 * EPSILON / 2.0 / norm(along)) as f32;
        offset.zip_mut_with(along, |offset, g| *offset += step * g);
        let back = (EPSILON / norm(&offset)).min(1.0) as f32;
        offset.iter_mut().for_each(|x| *x *= back);
        let mut moved = origin.clone();
        let words = moved.get_mut(WORDS).expect("a table");
        words.zip_mut_with(&offset, |value, offset| *value += offset);
        by_hand.restore(&moved).expect("no tape");
        let (_, there) = gradient(&mut by_hand, &options, &*objective, &[&all]);
        at_places.push(there);
    }
    let pgd = TrainOptions {
        adversarial: Adversarial::Pgd,
        adversarial_epsilon: EPSILON,
        adversarial_steps: 2,
        ..options
    };
    let mut model = model_in(Precision::F32, &*objective);
    let (_, found) = gradient(&mut model, &pgd, &*objective, &[&all]);
    let apart_from = |place: usize| {
        let mut sum = clean.clone();
        for (name, values) in &mut sum {
            values.zip_mut_with(&at_places[place][name], |value, other| *value += other);
        }
        apart(&sum, &found)
    };
    let (first, second) = (apart_from(1), apart_from(2));
    assert!(second < 0.05 * first, "{second} {first}");
}

#[test]
fn small_batches_added_up_equal_one_large_one() {
    let all: Vec<usize> = (0..40).collect();
    let options = TrainOptions {
        dropout: 0.0,
        ..TrainOptions::default()
    };
    use ObjectiveName::{Bce, Ce, Mlm, Pet};
    for name in [Mlm, Pet, Ce, Bce] {
        let objective = objective(name);
        let (loss, large) = gradient(&mut model(&*objective), &options, &*objective, &[&all]);
        let parts = [&all[..7], &all[7..8], &all[8..]];
        let (sum, small) = gradient(&mut model(&*objective), &options, &*objective, &parts);
        assert!((loss - sum).abs() < 1e-4, "{name:?}: {loss} {sum}");
        let zeros = large
            .iter()
            .map(|(name, values)| (name.clone(), values * 0.0));
        let bound = 0.02 * apart(&large, &zeros.collect()); // bf16
        assert!(
            apart(&large, &small) < bound,
            "{name:?}: {}",
            apart(&large, &small)
        );
    }
}

/// At the least rate that drops anything nearly all is kept: the masks of this key drop none of the copies, and differ from one pass by the
/// scale of what is kept, 1 + 1/65,535. The encoder drops the same in both.
#[test]
fn several_dropout_samples_of_next_to_no_dropout_equal_one_pass() {
    let all: Vec<usize> = (0..40).collect();
    let options = |dropout_samples| TrainOptions {
        dropout: 1.0 / 65_536.0,
        dropout_samples,
        ..TrainOptions::default()
    };
    use ObjectiveName::{Bce, Ce, Pet};
    for name in [Pet, Ce, Bce] {
        let objective = objective(name);
        for parts in [&[&all[..]][..], &[&all[..9], &all[9..]]] {
            let gradient_of = |n| {
                let mut model = model_in(Precision::F32, &*objective);
                gradient(&mut model, &options(n), &*objective, parts)
            };
            let (loss, one) = gradient_of(1);
            let (mean, several) = gradient_of(3);
            assert!((loss - mean).abs() < 1e-4, "{name:?}: {loss} {mean}");
            assert!(one != several, "{name:?}: no sample was drawn");
            let bound = 1e-3 * apart(&one, &scaled(&one, 0.0));
            let apart = apart(&one, &several);
            assert!(apart < bound, "{name:?}: {apart} {bound}");
        }
    }
}

/// What a step with R-Drop is made of: sums over its labelled rows and over its hidden tokens.
#[derive(Default)]
struct RDrop {
    n_labels: usize,
    /// Mean of both copies.
    label: f64,
    n_masked: usize,
    mlm: f64,
    divergence: f64,
}

/// By hand, of two classes. Labelled rows stand once more behind the others, and so have other dropout masks; what is hidden in them is asked
/// for once.
fn r_drop_by_hand(
    model: &Bert,
    objective: &dyn Objective,
    batches: &[Batch],
    rate: f64,
    key: Key,
) -> RDrop {
    let mut sums = RDrop::default();
    for (number, batch) in (0..).zip(batches) {
        let (mut rows, mut positions) = (batch.rows.clone(), batch.positions.clone());
        let mut first = batch.labelled.clone();
        for &at in &batch.labelled {
            let start = batch.positions[at as usize] as usize;
            let row = rows.offsets.iter().position(|&offset| offset == start);
            first.push(positions.len() as u32);
            positions.push(rows.n_tokens() as u32);
            rows.push_copy(row.expect("[CLS] is the first token of a row"));
        }
        let regularisation = Regularisation {
            hidden: rate as f32,
            attention: rate as f32,
            key: match number {
                0 => key,
                number => key.at(number),
            },
        };
        let pass = Pass {
            regularisation: Some(&regularisation),
            ..Pass::prediction(&rows, &positions)
        };
        let states = model.encode(&pass, NoneTape);
        let hidden = ops::rows(states.clone(), &batch.masked);
        for prediction in model.mlm_predictions(&hidden, &batch.tokens) {
            sums.mlm += f64::from(prediction.loss);
            sums.n_masked += 1;
        }
        let margins = objective.scores(model, ops::rows(states, &first));
        let margins = margins.expect("it learns labels").values;
        let (one, other) = margins.split_at(batch.labelled.len());
        for ((&x, &y), target) in one.iter().zip(other).zip(&batch.targets) {
            let (x, y) = (f64::from(x), f64::from(y));
            let sign = match target.is_positive() {
                Some(true) => 1.0,
                _ => -1.0,
            };
            let loss = |margin: f64| (-sign * margin).exp().ln_1p();
            let says = |margin: f64| 1.0 / (1.0 + (-margin).exp());
            sums.label += (loss(x) + loss(y)) / 2.0;
            // KL(p‖q) + KL(q‖p) = Σ (p - q)(ln p - ln q), p and q of both classes.
            let apart = says(x) - says(y);
            let ratio = (says(x) / says(y)).ln() - (says(-x) / says(-y)).ln();
            sums.divergence += apart * ratio / 2.0;
            sums.n_labels += 1;
        }
    }
    sums
}

/// A step of two batches, of 11 and 21 rows with a label and 2 and 5 without.
#[test]
fn r_drop_is_the_mean_of_two_copies_and_their_divergence_over_the_whole_step() {
    const WEIGHT: f64 = 0.7;
    let objective = objective(ObjectiveName::Ce);
    let options = TrainOptions {
        dropout: 0.3,
        r_drop: WEIGHT,
        ..TrainOptions::default()
    };
    let rows = rows(40);
    let all: Vec<usize> = (0..40).collect();
    let parts = [&all[1..14], &all[14..]].map(|part| batch(&*objective, &rows, part));
    let key = Key::from_seed(4);
    let mut model = model_in(Precision::F32, &*objective);
    let by_hand = r_drop_by_hand(&model, &*objective, &parts, options.dropout, key);
    let RDrop {
        n_labels, n_masked, ..
    } = by_hand;
    assert_eq!(n_labels, 32);
    let disagreement = by_hand.divergence / n_labels as f64;
    assert!(disagreement > 1e-3, "other masks: {disagreement}");
    let batches = step::parts_of_one(parts.to_vec(), &options);
    let learn = |model: &mut Bert| {
        let report = step::gradient(model, &*objective, &batches, &options, key);
        report.expect("memory")
    };
    let found = learn(&mut model);
    let gradient = model.take_gradients();
    let expected =
        by_hand.label / n_labels as f64 + by_hand.mlm / n_masked as f64 + WEIGHT * disagreement;
    let loss = found.loss;
    assert!((loss - expected).abs() < 1e-4, "{loss} {expected}");
    let near = |part: &LossPart, (name, sum, n): (&str, f64, usize)| {
        part.name == name && part.n == n && (part.sum - sum).abs() < 1e-3 * sum
    };
    for expected in [
        ("label", by_hand.label, n_labels),
        ("mlm", by_hand.mlm, n_masked),
        ("r_drop", by_hand.divergence, n_labels),
    ] {
        let is_there = found.parts.iter().any(|part| near(part, expected));
        assert!(is_there, "{expected:?} in {:?}", found.parts);
    }

    // The gradient is that of this loss, of both batches and both copies: the masks stay.
    let origin = model.weights();
    let norm = gradient
        .values()
        .map(norm)
        .map(|x| x * x)
        .sum::<f64>()
        .sqrt();
    let mut moved = |step: f64| {
        let mut weights = origin.clone();
        for (name, values) in &mut weights {
            let along = (step / norm) as f32;
            values.zip_mut_with(&gradient[name], |value, g| *value += along * g);
        }
        model.restore(&weights).expect("no tape");
        learn(&mut model).loss
    };
    let step = 5e-3;
    let slope = (moved(step) - moved(-step)) / (2.0 * step);
    assert!((slope - norm).abs() < 0.03 * norm, "{slope} {norm}");
}

#[test]
fn an_average_of_constants_is_that_constant_and_of_two_weights_their_mean() {
    let mut model = model(&*objective(ObjectiveName::Pet));
    let place = |epochs_left| Place {
        ends_epoch: true,
        epochs_left,
    };
    for kind in [AverageKind::Ema, AverageKind::Swa] {
        let options = TrainOptions {
            average: kind,
            average_epochs: 2,
            ..TrainOptions::default()
        };
        let mut average: Option<Average> = None;
        for epochs_left in [1, 0, 0] {
            average::renew(&mut average, &model, &options, place(epochs_left));
        }
        let average = average.expect("it has begun");
        assert!(
            average.weights == model.weights() && average.n == 3,
            "{kind:?}"
        );
    }
    let options = TrainOptions {
        average: AverageKind::Swa,
        average_epochs: 2,
        ..TrainOptions::default()
    };
    let (mut average, first) = (None, model.weights());
    average::renew(&mut average, &model, &options, place(2));
    assert_eq!(average, None);
    average::renew(&mut average, &model, &options, place(1));
    let doubled = first
        .iter()
        .map(|(name, values)| (name.clone(), values * 3.0));
    model.restore(&doubled.collect()).expect("no tape");
    average::renew(&mut average, &model, &options, place(0));
    let mean = first
        .iter()
        .map(|(name, values)| (name.clone(), values * 2.0));
    let average = average.expect("it has begun");
    assert!(apart(&mean.collect(), &average.weights) < 1e-6);
}

/// Of weights that are 1, 3 and 8 times the first, the average so far is as many times the first.
#[test]
fn an_average_of_three_weights_is_that_of_its_formula() {
    let mut model = model(&*objective(ObjectiveName::Pet));
    let first = model.weights();
    let mut average_by = |options: &TrainOptions| {
        let mut average: Option<Average> = None;
        for (epochs_left, times) in [(2, 1.0), (1, 3.0), (0, 8.0)] {
            model.restore(&scaled(&first, times)).expect("no tape");
            let place = Place {
                ends_epoch: true,
                epochs_left,
            };
            average::renew(&mut average, &model, options, place);
        }
        average.expect("it has begun").weights
    };
    let swa = TrainOptions {
        average: AverageKind::Swa,
        average_epochs: 3,
        ..TrainOptions::default()
    };
    let mean = apart(&scaled(&first, 4.0), &average_by(&swa));
    assert!(mean < 1e-5, "{mean}");
    // A decay that the first steps do not come to, and one that they are above.
    for decay in [0.999_f64, 0.1] {
        let ema = TrainOptions {
            average: AverageKind::Ema,
            average_decay: decay,
            ..TrainOptions::default()
        };
        let mut expected = 1.0;
        for (n, next) in [(1.0, 3.0), (2.0, 8.0)] {
            let kept = decay.min((1.0 + n) / (10.0 + n));
            expected = kept * expected + (1.0 - kept) * next;
        }
        let found = apart(&scaled(&first, expected as f32), &average_by(&ema));
        assert!(found < 1e-5, "{decay}: {found}");
    }
}

/// The average is what is validated and kept; training itself goes on from the last weights.
#[test]
fn an_average_changes_what_is_kept_and_not_what_is_trained() {
    let workspace = Workspace::with_pairs();
    let run = |out: &str, setting: &str| {
        let out = format!("--out={out}");
        let all = [
            "--set=data.valid=none", // the last epoch is kept
            "--set=train.epochs=3",
            "--set=train.average_epochs=2",
            "--set",
            setting,
        ];
        workspace.succeed(&[&["run", "experiment.toml", &out], &all[..]].concat());
    };
    run("plain", "train.average=none");
    run("ema", "train.average=ema");
    run("swa", "train.average=swa");
    let losses = |out: &str| -> Vec<f64> {
        let text = workspace.text(&format!("{out}/metrics.jsonl"));
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines
            .map(|line: serde_json::Value| line["loss"].as_f64().expect("a loss"))
            .collect()
    };
    for averaged in ["ema", "swa"] {
        assert_eq!(losses("plain"), losses(averaged));
        let weights = |out: &str| workspace.read(&format!("{out}/model/model.safetensors"));
        assert!(weights("plain") != weights(averaged), "{averaged}");
    }
}

/// An epoch has 8 steps here: after 16 of them there is no third one.
#[test]
fn a_mean_over_all_epochs_that_there_are_is_refused() {
    let workspace = Workspace::with_pairs();
    let run = |max_steps: &str| {
        let out = format!("--out=after-{max_steps}");
        let max_steps = format!("--set=train.max_steps={max_steps}");
        let settings = [
            "--set=train.epochs=3",
            "--set=train.average=swa",
            "--set=train.average_epochs=2",
            &max_steps,
        ];
        workspace.run(&[&["run", "experiment.toml", &out][..], &settings].concat())
    };
    let output = run("16");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let wanted = "stage `pet`: expected average_epochs below the 2 epochs of the stage, found 2";
    assert!(text.contains(wanted), "{text}");
    let output = run("17");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
}

/// An epoch has 240 rows here: three of them are more than 719 rows.
#[test]
fn max_rows_ends_a_stage_after_whole_epochs() {
    let workspace = Workspace::with_pairs();
    let run = |out: &str, settings: &[&str]| -> (String, usize) {
        let out_argument = format!("--out={out}");
        let arguments = [&["run", "experiment.toml", &out_argument][..], settings].concat();
        let output = workspace.run(&arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let n = workspace
            .text(&format!("{out}/metrics.jsonl"))
            .lines()
            .count();
        (text, n)
    };
    let (text, n) = run("cut", &["--set=train.epochs=3", "--set=train.max_rows=719"]);
    assert_eq!(n, 2);
    let wanted = "stage pet: 16 steps of 32 rows, 2 of 3 epochs as train.max_rows = 719;";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("epoch 1/2"), "{text}");
    let (text, n) = run(
        "whole",
        &["--set=train.epochs=3", "--set=train.max_rows=720"],
    );
    assert_eq!(n, 3);
    assert!(!text.contains("max_rows"), "{text}");
}
