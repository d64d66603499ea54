//! R-Drop: two passes over the same rows, with dropout of their own, shall say the same (Liang et al. 2021,
//! <https://arxiv.org/abs/2106.14448>).
//!
//! Labelled rows stand in the batch twice ([`Batch::with_copies`]); the loss of the labels is the mean of both, and `r_drop` times
//! the mean over these rows of `½ (KL(p‖q) + KL(q‖p))` is added. p and q are what the two passes say of the label: a softmax over
//! the classes, or a probability for each label, for which both the term is `½ Σ (p - q)(x - y)` of the logits x and y; of several
//! labels it is the mean over them, as their loss is. Of one number a row it is `½ (x - y)²`. Costs a second pass of the labelled
//! rows.
//!
//! The paper adds up the losses of both passes: its α, which weighs the term against the labels, is `2 · r_drop`. That holds where
//! the loss of the labels is a mean by itself. In [`crate::objective::pet`] it is not: of L labels and M hidden tokens the labels
//! are only `L / (L + mlm_weight · M)` of the loss while the term stays whole, so that α is `2 · r_drop · (L + mlm_weight · M) / L`,
//! which is several times as much where a row hides several tokens.

use dfdx::prelude::{Axis, HasShape, PutTape, SplitTape, SumTo};

use crate::model::tensor::{Matrix, Scalar};
use crate::model::{Bert, ops};
use crate::objective::{Batch, Objective, OutputKind, Outputs, StepTape};

/// `weight` times the term, and the states again. None where there is no label.
///
/// # Panics
/// Where the labels do not stand twice.
pub(super) fn term(
    objective: &dyn Objective,
    model: &Bert,
    batch: &Batch,
    states: Matrix<StepTape>,
    weight: f32,
) -> (Matrix<StepTape>, Option<Scalar>) {
    assert_eq!(batch.extra_copies, 1, "each label twice");
    let n = batch.labelled.len() / 2;
    if n == 0 {
        return (states, None);
    }
    let (states, tape) = states.split_tape();
    let (first, second) = batch.labelled.split_at(n);
    let first = ops::rows(states.clone().put_tape(tape), first);
    let says = "an objective that learns labels says something of them";
    let Outputs { values, kind } = objective.outputs(model, first).expect(says);
    let (x, tape) = values.split_tape();
    let second = ops::rows(states.clone().put_tape(tape), second);
    let outputs = objective.outputs(model, second).expect(says);
    let (y, tape) = outputs.values.split_tape();
    let (term, tape) = (disagreement(x, y, tape, kind) * weight).split_tape();
    (states.put_tape(tape), Some(term))
}

/// Mean over the rows of `½ Σ (p - q)(x - y)`, of labels each by itself over them too.
fn disagreement(x: Matrix, y: Matrix, tape: StepTape, kind: OutputKind) -> Scalar<StepTape> {
    let (n_rows, width) = *x.shape();
    let n = match kind {
        OutputKind::Sigmoid => n_rows * width,
        OutputKind::Softmax | OutputKind::Number => n_rows,
    };
    let said = |logits: Matrix<StepTape>| match kind {
        OutputKind::Softmax => logits.softmax::<Axis<1>>(),
        OutputKind::Sigmoid => logits.sigmoid(),
        OutputKind::Number => logits * 1.0,
    };
    let (p, tape) = said(x.clone().put_tape(tape)).split_tape();
    let (q, tape) = said(y.clone().put_tape(tape)).split_tape();
    let (apart, tape) = (p.put_tape(tape) - q).split_tape();
    let (difference, tape) = (x.put_tape(tape) - y).split_tape();
    let sum: Scalar<StepTape> = (difference.put_tape(tape) * apart).sum();
    sum * (0.5 / n as f32)
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::{AsArray, Cpu, Gradients, Trace};

    use super::*;
    use crate::model::tensor::matrix;

    fn of(x: [f32; 4], y: [f32; 4], kind: OutputKind) -> f32 {
        let two_by_two = |values: [f32; 4]| matrix(&Cpu::default(), values.to_vec(), 2, 2);
        let tape = two_by_two(x).traced(Gradients::leaky()).split_tape().1;
        disagreement(two_by_two(x), two_by_two(y), tape, kind).array()
    }

    #[test]
    fn the_symmetric_divergence_by_hand() {
        // p = (.5, .5), q = (.8, .2) in one row, equal in the other:
        // KL(p‖q) = .5 ln(.5/.8) + .5 ln(.5/.2) = .223144, KL(q‖p) = .8 ln 1.6 + .2 ln .4 = .192745.
        let found = of(
            [0.0, 0.0, 1.0, 2.0],
            [4.0_f32.ln(), 0.0, 1.0, 2.0],
            OutputKind::Softmax,
        );
        assert!(
            (found - (0.223_144 + 0.192_745) / 2.0 / 2.0).abs() < 1e-6,
            "{found}"
        );
        // Each label by itself: σ(0) = .5 and σ(ln 4) = .8 are the same two distributions, of one label in two.
        let found = of(
            [0.0, 0.0, 1.0, 2.0],
            [4.0_f32.ln(), 0.0, 1.0, 2.0],
            OutputKind::Sigmoid,
        );
        assert!(
            (found - (0.223_144 + 0.192_745) / 2.0 / 2.0 / 2.0).abs() < 1e-6,
            "{found}"
        );
        assert_eq!(
            of(
                [1.0, 0.0, 0.0, 0.0],
                [3.0, 0.0, 0.0, 1.0],
                OutputKind::Number
            ),
            1.25
        );
    }

    #[test]
    fn equal_passes_agree() {
        for kind in [OutputKind::Softmax, OutputKind::Sigmoid, OutputKind::Number] {
            assert_eq!(of([1.0, 2.0, 3.0, -4.0], [1.0, 2.0, 3.0, -4.0], kind), 0.0);
        }
    }
}
