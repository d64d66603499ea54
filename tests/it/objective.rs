//! Objectives on a whole network: gradients under dropout, threads, the state before training, scores.

use cipherpet::checkpoint::{BertConfig, Heads, Weights, remap::remap};
use cipherpet::data::{
    EncodedExample, LabelKind, Masking, PackedBatch, Target, TokenTypes, reserved,
};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::metrics::auc;
use cipherpet::model::{Bert, Pass, Regularisation};
use cipherpet::objective::{
    self, Answers, Batch, Candidates, Counts, Draw, HeadChoice, Objective, ObjectiveName,
    ObjectiveOptions,
};
use cipherpet::random::Key;
use cipherpet::train::step::label_smoothing::smoothed;
use cipherpet::train::step::{self, PassOptions};
use cipherpet::vocab::PlainId;
use dfdx::prelude::NoneTape;

use crate::workspace::skipped;

const VOCAB: u32 = 307;
const N_CLASSES: u32 = 4;

/// Every objective, with each kind of label and head that it takes, with and without the MLM term.
fn objectives() -> Vec<(LabelKind, ObjectiveOptions)> {
    use HeadChoice::{Cls, Mlm, Pooler};
    use LabelKind::{Binary, Classes, Multilabel, Ordinal};
    [
        (Binary, ObjectiveName::Mlm, 1.0, Pooler),
        (Binary, ObjectiveName::Pet, 1.0, Pooler),
        (Binary, ObjectiveName::Pet, 0.3, Pooler),
        (Classes, ObjectiveName::Pet, 1.0, Pooler),
        (Binary, ObjectiveName::Ce, 0.0, Pooler),
        (Classes, ObjectiveName::Ce, 0.5, Cls),
        (Multilabel, ObjectiveName::Bce, 0.5, Pooler),
        (Binary, ObjectiveName::Bce, 0.0, Cls),
        (Ordinal, ObjectiveName::Cosent, 0.0, Pooler),
        (Binary, ObjectiveName::Cosent, 0.5, Mlm),
        (Ordinal, ObjectiveName::Mse, 0.0, Cls),
        (Ordinal, ObjectiveName::Mse, 0.5, Mlm),
        (Binary, ObjectiveName::Nsp, 0.0, Pooler),
        (Binary, ObjectiveName::Nsp, 0.5, Pooler),
        (Binary, ObjectiveName::Simbert, 1.0, Pooler),
        (Binary, ObjectiveName::Simbert, 0.0, Pooler),
    ]
    .into_iter()
    .map(|(labels, name, mlm_weight, head)| {
        let options = ObjectiveOptions {
            name,
            mlm_weight,
            head,
            corrupt_sources: mlm_weight / 2.0,
            candidates: None,
            choice_smoothing: 0.0,
        };
        (labels, options)
    })
    .chain([0.0, 0.5].map(|mlm_weight| (Binary, of_candidates(mlm_weight))))
    .collect()
}

fn of_candidates(mlm_weight: f64) -> ObjectiveOptions {
    ObjectiveOptions {
        name: ObjectiveName::Nsp,
        mlm_weight,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: Some(Candidates::First),
        choice_smoothing: mlm_weight / 2.0,
    }
}

fn answers(labels: LabelKind) -> Answers {
    let n_classes = match labels {
        LabelKind::Binary => 2,
        LabelKind::Ordinal => 0,
        LabelKind::Classes | LabelKind::Multilabel => N_CLASSES,
    };
    Answers {
        labels,
        n_classes: n_classes as usize,
        tokens: match labels {
            LabelKind::Classes => (VOCAB - N_CLASSES..VOCAB).collect(),
            _ => vec![reserved::NO, reserved::YES],
        },
    }
}

fn pet() -> Box<dyn Objective> {
    let options = ObjectiveOptions {
        name: ObjectiveName::Pet,
        mlm_weight: 1.0,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: None,
        choice_smoothing: 0.0,
    };
    options.objective(&answers(LabelKind::Binary))
}

fn config(hidden: usize) -> BertConfig {
    BertConfig {
        vocab_size: VOCAB as usize,
        hidden_size: hidden,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 4 * hidden,
        max_position_embeddings: 40,
        initializer_range: 0.2,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        ..BertConfig::default()
    }
}

/// Differences of losses are read to more digits than bf16 has.
fn path() -> Path {
    Path::resolve(Precision::F32)
}

fn model(hidden: usize) -> Bert {
    model_on(path(), hidden, Heads::MLM)
}

fn model_on(path: Path, hidden: usize, heads: Heads) -> Bert {
    Bert::initialise(config(hidden), heads, path, Key::from_seed(1)).expect("sizes above 0")
}

/// Rows of different lengths, some with one text; a third of them without a label. Six rows have the same second text.
fn rows(n: u64, labels: LabelKind) -> Vec<EncodedExample> {
    let key = Key::from_seed(2);
    let text = |row: u64, side: u64| -> Vec<u32> {
        let length = 1 + key.at(row).at(side).bits(0) % 14;
        let token = |i| (key.at(row).at(side).bits(i) % u64::from(VOCAB - 11)) as u32 + 7;
        (1..=length).map(token).collect()
    };
    let target = |row: u64| {
        let draw = key.at(row).bits(77) as u32;
        match labels {
            _ if row.is_multiple_of(3) => Target::Unknown,
            LabelKind::Binary => (row % 3 == 1).into(),
            LabelKind::Classes => Target::Class(draw % N_CLASSES),
            LabelKind::Multilabel => Target::Several(
                (0..N_CLASSES)
                    .filter(|class| draw >> class & 1 == 1)
                    .collect(),
            ),
            LabelKind::Ordinal => Target::Number((draw % 5) as f32 / 2.0),
        }
    };
    (0..n)
        .map(|row| EncodedExample {
            a: text(row, 0),
            b: (row % 4 != 3).then(|| text(row / 6, 1)),
            target: target(row),
            text_numbers: None,
        })
        .collect()
}

fn batch(objective: &dyn Objective, rows: &[EncodedExample]) -> Batch {
    let numbers: Vec<usize> = (0..rows.len()).collect();
    objective.batch(rows, &numbers, &draw(0.3))
}

fn draw(mask: f64) -> Draw {
    Draw {
        masking: Masking::of_tokens(mask),
        cipher_rows: reserved::FIRST_CIPHER..VOCAB - N_CLASSES,
        token_types: TokenTypes::Zero,
        swap: true,
        key: Key::from_seed(3),
    }
}

/// Gradients with dropout on, in the order of names, and the loss.
fn gradients(objective: &dyn Objective, model: &Bert, batch: &Batch) -> (f64, Weights) {
    gradients_with(&PassOptions::default(), objective, model, batch)
}

fn gradients_with(
    options: &PassOptions,
    objective: &dyn Objective,
    model: &Bert,
    batch: &Batch,
) -> (f64, Weights) {
    let regularisation = Regularisation {
        hidden: 0.2,
        attention: 0.3,
        key: Key::from_seed(4),
    };
    let loss = step::loss_and_gradients(objective, model, batch, Some(&regularisation), options);
    (loss.expect("memory").loss, model.take_gradients())
}

/// The loss moves along a random direction of all parameters as the gradient says, with the same dropout masks:
/// what the golden test cannot see, as transformers draws other masks.
#[test]
fn gradients_of_every_objective_under_dropout_equal_finite_differences() {
    for (labels, options) in objectives() {
        let objective = options.objective(&answers(labels));
        let batch = batch(&*objective, &rows(12, labels));
        assert_gradient(&PassOptions::default(), &*objective, &batch);
    }
}

/// R-Drop, several dropout masks, labels in probabilities, and a batch that is part of a step.
#[test]
fn gradients_of_all_that_goes_around_an_objective_equal_finite_differences() {
    let options = PassOptions {
        r_drop: 0.7,
        dropout_samples: 3,
    };
    for (labels, of_objective) in objectives() {
        let answers = answers(labels);
        let objective = of_objective.objective(&answers);
        let mut rows = rows(12, labels);
        for row in &mut rows {
            let target = std::mem::take(&mut row.target);
            row.target = smoothed(target, 0.3, labels, answers.n_classes);
        }
        let mut batch = batch(&*objective, &rows);
        let Counts { labels, masked } = batch.counts();
        batch.whole = Some(Counts {
            labels: 2 * labels,
            masked: masked + 5,
        });
        assert_gradient(&options, &*objective, &batch.with_copies(1));
    }
}

fn assert_gradient(options: &PassOptions, objective: &dyn Objective, batch: &Batch) {
    {
        let model = model_on(path(), 32, objective.heads());
        let (_, gradient) = gradients_with(options, objective, &model, batch);
        for seed in 0..3 {
            let key = Key::from_seed(100 + seed);
            let sign = |parameter: usize, i: usize| {
                if key.at(parameter as u64).bits(i as u64) & 1 == 0 {
                    1.0
                } else {
                    -1.0
                }
            };
            let mut along = 0.0;
            for (parameter, values) in gradient.values().enumerate() {
                let values = values.iter().enumerate();
                along += values
                    .map(|(i, &g)| f64::from(g) * sign(parameter, i))
                    .sum::<f64>();
            }
            let moved = |step: f64| {
                let mut weights = model.weights();
                for (parameter, values) in weights.values_mut().enumerate() {
                    let values = values.iter_mut().enumerate();
                    values.for_each(|(i, x)| *x += (step * sign(parameter, i)) as f32);
                }
                let moved = Bert::new(config(32), objective.heads(), path(), weights);
                let moved = moved.expect("the same shapes");
                gradients_with(options, objective, &moved, batch).0
            };
            let step = 2e-4;
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            let tolerance = 0.03 * along.abs().max(1.0);
            assert!(
                (difference - along).abs() < tolerance,
                "{objective:?}, direction {seed}: gradient {along}, difference {difference}"
            );
        }
    }
}

/// No gradient would pass the test above as well.
#[test]
fn every_objective_moves_the_heads_it_asks_for_and_no_other() {
    for (labels, options) in objectives() {
        let objective = options.objective(&answers(labels));
        let heads = Heads {
            mlm: true,
            pooler: true,
            nsp: true,
            classifier: objective.heads().classifier.or(Some(1)),
        };
        let model = model_on(path(), 32, heads);
        let (_, gradient) = gradients(&*objective, &model, &batch(&*objective, &rows(12, labels)));
        let moves = |name: &str| gradient[name].iter().any(|&g| g != 0.0);
        let needed = objective.heads();
        assert_eq!(
            moves("cls.predictions.transform.dense.weight"),
            needed.mlm,
            "{options:?}"
        );
        assert_eq!(
            moves("bert.pooler.dense.weight"),
            needed.pooler,
            "{options:?}"
        );
        assert_eq!(
            moves("classifier.weight"),
            needed.classifier.is_some(),
            "{options:?}"
        );
        assert_eq!(
            moves("cls.seq_relationship.weight"),
            needed.nsp,
            "{options:?}"
        );
        assert!(
            moves("bert.encoder.layer.0.attention.self.query.weight"),
            "{options:?}"
        );
    }
}

#[test]
fn scores_are_as_many_as_the_labels_ask_for_and_both_orders_are_the_mean_of_each() {
    for (labels, options) in objectives() {
        let objective = options.objective(&answers(labels));
        let model = model_on(path(), 32, objective.heads());
        let rows = rows(20, labels);
        let swapped: Vec<_> = rows.iter().map(swapped).collect();
        let of = |rows: &[EncodedExample], swap| objective::scores(&*objective, &model, rows, swap);
        let Some(forward) = of(&rows, false) else {
            assert_eq!(options.name, ObjectiveName::Mlm);
            continue;
        };
        let width = match labels {
            LabelKind::Binary | LabelKind::Ordinal => 1,
            LabelKind::Classes | LabelKind::Multilabel => N_CLASSES as usize,
        };
        assert_eq!(
            (forward.width, forward.len()),
            (width, rows.len()),
            "{options:?}"
        );
        let backward = of(&swapped, false).expect("as before");
        let both = of(&rows, true).expect("as before");
        if objective.is_bi_encoder() {
            let each = forward.values.iter().zip(&backward.values);
            for ((x, y), z) in each.zip(&both.values) {
                assert!((x - y).abs() < 1e-6 && (x - z).abs() < 1e-6, "{x} {y} {z}");
                assert!((-1.0..=1.0).contains(x), "{x}");
            }
            assert!(
                forward.values.iter().any(|&x| x < 0.999),
                "all are the same"
            );
            continue;
        }
        assert_ne!(forward, backward);
        if objective.has_order() {
            assert_eq!(forward, both, "texts that have an order are never swapped");
            continue;
        }
        let each = forward.values.iter().zip(&backward.values);
        for ((x, y), z) in each.zip(&both.values) {
            assert!(((x + y) / 2.0 - z).abs() < 1e-4, "{options:?}: {x} {y} {z}");
        }
    }
}

/// A number is on the scale of the labels, and the score of two classes 0 where it is as far from 0 as from 1.
#[test]
fn the_score_of_a_squared_error_is_0_half_way_between_two_classes() {
    let options = ObjectiveOptions {
        name: ObjectiveName::Mse,
        mlm_weight: 0.0,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: None,
        choice_smoothing: 0.0,
    };
    let rows = rows(20, LabelKind::Binary);
    let scores = |labels| {
        let objective = options.objective(&answers(labels));
        let model = model_on(path(), 32, objective.heads());
        let scores = objective::scores(&*objective, &model, &rows, false);
        scores.expect("it learns labels").values
    };
    let (numbers, scores) = (scores(LabelKind::Ordinal), scores(LabelKind::Binary));
    for (number, score) in numbers.iter().zip(&scores) {
        assert_eq!(number - 0.5, *score);
    }
    assert!(numbers.iter().any(|&number| number != numbers[0]));
}

fn swapped(row: &EncodedExample) -> EncodedExample {
    match &row.b {
        None => row.clone(),
        Some(b) => EncodedExample {
            a: b.clone(),
            b: Some(row.a.clone()),
            target: Target::Unknown,
            text_numbers: None,
        },
    }
}

#[test]
fn loss_and_gradients_have_the_same_bits_on_one_to_four_threads() {
    let objective = pet();
    let batch = batch(&*objective, &rows(64, LabelKind::Binary));
    for precision in [Precision::F32, Precision::Bf16] {
        // 256 wide: large enough that every matrix product is cut into tiles.
        let model = model_on(Path::resolve(precision), 256, Heads::MLM);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| gradients(&*objective, &model, &batch))
        };
        let (loss, one) = on(1);
        for threads in 2..=4 {
            let (other_loss, other) = on(threads);
            assert_eq!(loss.to_bits(), other_loss.to_bits());
            for (name, values) in &one {
                let same = values
                    .iter()
                    .zip(&other[name])
                    .all(|(x, y)| x.to_bits() == y.to_bits());
                let path = model.path();
                assert!(same, "{path}: {name} differs on {threads} threads");
            }
        }
    }
}

/// Rounding to 8 bits changes each product by up to 2^-8 of it, in either direction: sums of many by less.
#[test]
fn gradients_in_bf16_are_those_in_f32_within_what_rounding_allows() {
    let bf16 = Path::resolve(Precision::Bf16);
    if !bf16.packs() {
        skipped("no instructions for bf16 on this CPU");
        return;
    }
    let objective = pet();
    let batch = batch(&*objective, &rows(64, LabelKind::Binary));
    let (exact_loss, exact) = gradients(&*objective, &model(64), &batch);
    let (loss, rounded) = gradients(&*objective, &model_on(bf16, 64, Heads::MLM), &batch);
    assert!(
        (loss - exact_loss).abs() < 0.01 * exact_loss,
        "{loss} {exact_loss}"
    );
    let norm = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    };
    let all = norm(&mut exact.values().flatten().copied());
    for (name, exact) in &exact {
        let apart = norm(&mut exact.iter().zip(&rounded[name]).map(|(x, y)| x - y));
        let size = norm(&mut exact.iter().copied());
        // Keys' biases have no gradient in exact arithmetic: hence the second term.
        assert!(
            apart < 0.03 * size + 1e-3 * all,
            "{name}: {apart} of {size}"
        );
    }
}

/// [UNK], [NO] and [YES] start as the same row, so no pair is preferred: AUC is exactly one half.
#[test]
fn before_training_all_scores_are_0() {
    let mut weights = model(32).weights();
    let keep: Vec<PlainId> = [0, 100, 101, 102, 103, 100, 100]
        .into_iter()
        .chain(1..301)
        .map(PlainId)
        .collect();
    remap(&mut weights, &keep);
    let words = &weights["bert.embeddings.word_embeddings.weight"];
    let row = |id: u32| words.index_axis(ndarray::Axis(0), id as usize).to_owned();
    assert_eq!(row(reserved::UNK), row(reserved::NO));
    assert_eq!(row(reserved::UNK), row(reserved::YES));
    let model = Bert::new(config(32), Heads::MLM, path(), weights).expect("307 rows again");
    let rows = rows(30, LabelKind::Binary);
    let scores = objective::scores(&*pet(), &model, &rows, true).expect("scores");
    assert!(
        scores.values.iter().all(|&score| score == 0.0),
        "{scores:?}"
    );
    let is_positive = |row: &EncodedExample| row.target == Target::Class(1);
    let labels: Vec<bool> = rows.iter().map(is_positive).collect();
    assert_eq!(auc(&labels, &scores.values), Some(0.5));
}

/// What a text is read as must not know what is written from it: one pass has the vector and the loss of generation.
#[test]
fn the_vector_of_a_source_has_the_same_bits_whatever_its_target() {
    let options = ObjectiveOptions {
        name: ObjectiveName::Simbert,
        mlm_weight: 1.0,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: None,
        choice_smoothing: 0.0,
    };
    let objective = options.objective(&answers(LabelKind::Binary));
    let model = model_on(path(), 32, objective.heads());
    let first_states = |b: &[u32]| {
        let row = EncodedExample {
            a: vec![20, 21, 22],
            b: Some(b.to_vec()),
            target: true.into(),
            text_numbers: None,
        };
        let batch = objective.batch(&[row], &[0], &draw(0.3));
        let states = model.encode(&Pass::prediction(&batch.rows, &batch.positions), NoneTape);
        states.as_vec()[..32].to_vec()
    };
    let vector = first_states(&[30, 31, 32]);
    assert_eq!(vector, first_states(&[40, 41, 42]));
    let other_length = first_states(&[50]);
    let apart = vector.iter().zip(&other_length).map(|(x, y)| (x - y).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-5);
    // And it is that of the text by itself, which the score is made of.
    let mut alone = PackedBatch::default();
    alone.push_texts(&[20, 21, 22], None, TokenTypes::Zero);
    let alone = model.encode(&Pass::prediction(&alone, &[0]), NoneTape);
    let apart = vector
        .iter()
        .zip(alone.as_vec())
        .map(|(x, y)| (x - y).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn a_batch_without_targets_has_loss_0_and_no_gradient() {
    let rows = rows(3, LabelKind::Binary).into_iter();
    let rows: Vec<_> = rows.map(EncodedExample::without_target).collect();
    for (labels, options) in objectives() {
        let objective = options.objective(&answers(labels));
        let batch = objective.batch(&rows, &[0, 1, 2], &draw(1e-12));
        assert!(batch.positions.is_empty());
        let model = model_on(path(), 32, objective.heads());
        let (loss, gradient) = gradients(&*objective, &model, &batch);
        assert_eq!(loss, 0.0);
        assert!(gradient.values().flatten().all(|&g| g == 0.0));
    }
}
