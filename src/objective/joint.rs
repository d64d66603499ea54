//! What objectives share: a loss of the labels beside the MLM term, and the linear head that answers.
//!
//! One forward pass serves both: the states of the batch's positions stay, and the tape goes from head to head.

use std::ops::Range;

use dfdx::prelude::{AsArray, Cpu, MeanTo, PutTape, SplitTape, Tape};

use super::{Batch, HeadChoice, Loss, LossPart, StepTape};
use crate::checkpoint::Heads;
use crate::data::Target;
use crate::model::tensor::{Matrix, Scalar, Vector, matrix};
use crate::model::{Bert, Pooling, ops};

/// Mean loss of the labels, and over how many things it is a mean.
pub(super) struct LabelLoss {
    pub loss: Scalar<StepTape>,
    pub n: usize,
}

/// What the two parts of a loss are called.
#[derive(Clone, Copy)]
pub(super) struct PartNames {
    pub label: &'static str,
    pub tokens: &'static str,
}

/// `label + mlm_weight x MLM`, each a mean of its own: `label` makes the first from the states of labelled rows. Of a step in
/// several batches it is the share of this one.
pub(super) fn beside_mlm(
    model: &Bert,
    batch: &Batch,
    states: Matrix<StepTape>,
    mlm_weight: f64,
    label: impl Fn(Matrix<StepTape>, &[Target]) -> LabelLoss,
) -> Loss {
    let names = PartNames {
        label: "label",
        tokens: "mlm",
    };
    beside_tokens(model, batch, states, (mlm_weight, names), label)
}

/// As [`beside_mlm`], for tokens that the MLM head is to name, whatever they are called.
pub(super) fn beside_tokens(
    model: &Bert,
    batch: &Batch,
    states: Matrix<StepTape>,
    (weight, names): (f64, PartNames),
    label: impl Fn(Matrix<StepTape>, &[Target]) -> LabelLoss,
) -> Loss {
    let mut parts = Vec::new();
    let (states, mut tape) = states.split_tape();
    let mut total: Option<Scalar> = None;
    let n_copies = 1 + batch.extra_copies;
    let n_labels = (batch.labelled.len() / n_copies).max(1);
    let mut part = LossPart::new(names.label, 0.0, 0);
    // Copies of the labels stand one after the other, and each is a loss of its own.
    let copies = batch.labelled.chunks(n_labels);
    for (labelled, targets) in copies.zip(batch.targets.chunks(n_labels)) {
        let first = ops::rows(states.clone().put_tape(tape), labelled);
        let LabelLoss { loss, n } = label(first, targets);
        let (loss, rest) = loss.split_tape();
        part.sum += f64::from(loss.array()) * n as f64 / n_copies as f64;
        part.n = n;
        let share = batch.share_of_labels() / n_copies as f32;
        let scaled = loss.put_tape(rest) * share;
        let (sum, rest) = match total {
            None => scaled,
            Some(sum) => scaled + sum,
        }
        .split_tape();
        (total, tape) = (Some(sum), rest);
    }
    if part.n > 0 {
        parts.push(part);
    }
    if batch.masked.is_empty() {
        let total = total.expect("a batch has a wanted position");
        return Loss {
            total: total.put_tape(tape),
            parts,
        };
    }
    let hidden = ops::rows(states.put_tape(tape), &batch.masked);
    let losses = model.mlm_losses(hidden, &batch.tokens);
    let (mean, tape) = losses.mean().split_tape();
    let n = batch.tokens.len();
    let sum = f64::from(mean.array()) * n as f64;
    parts.push(LossPart::new(names.tokens, sum, n));
    let weighted = mean.put_tape(tape) * (weight as f32 * batch.share_of_masked());
    Loss {
        total: match total {
            Some(label) => weighted + label,
            None => weighted,
        },
        parts,
    }
}

/// How likely each of `classes` is, (targets × classes).
pub(super) fn probabilities(targets: &[Target], classes: Range<u32>) -> Matrix {
    let wanted = |target: &Target, class| {
        let probability = target.probability(class);
        probability.expect("the batch has classes only")
    };
    let (n, width) = (targets.len(), classes.len());
    let rows = targets.iter();
    let values = rows.flat_map(|target| classes.clone().map(move |class| wanted(target, class)));
    matrix(&Cpu::default(), values.collect(), n, width)
}

/// The heads that a linear answer of `outputs` numbers needs, or the MLM head's margin.
pub(super) fn heads(choice: HeadChoice, outputs: usize, mlm_weight: f64) -> Heads {
    let is_linear = choice != HeadChoice::Mlm;
    Heads {
        mlm: mlm_weight > 0.0 || !is_linear,
        pooler: choice == HeadChoice::Pooler,
        nsp: false,
        classifier: is_linear.then_some(outputs),
    }
}

/// Outputs of the linear head for the states of `[CLS]`, (rows × outputs).
pub(super) fn outputs<T: Tape<f32, Cpu>>(
    model: &Bert,
    first_states: Matrix<T>,
    choice: HeadChoice,
) -> Matrix<T> {
    match choice {
        HeadChoice::Pooler => model.classify(model.pool(first_states, Pooling::Tanh)),
        HeadChoice::Cls | HeadChoice::Mlm => model.classify(first_states),
    }
}

/// One number for the states of `[CLS]`, (rows): the only output of the linear head, or in the MLM head the logit of the
/// second of `tokens` above that of the first.
pub(super) fn output<T: Tape<f32, Cpu>>(
    model: &Bert,
    first_states: Matrix<T>,
    choice: HeadChoice,
    tokens: &[u32],
) -> Vector<T> {
    if choice != HeadChoice::Mlm {
        return ops::column(outputs(model, first_states, choice), 0);
    }
    difference(model.token_logits(first_states, &tokens[..2]), 1, 0)
}

/// One column less another, (rows).
pub(super) fn difference<T: Tape<f32, Cpu>>(
    logits: Matrix<T>,
    column: usize,
    other: usize,
) -> Vector<T> {
    let (logits, tape) = logits.split_tape();
    let (other, tape) = ops::column(logits.clone().put_tape(tape), other).split_tape();
    ops::column(logits.put_tape(tape), column) - other
}
