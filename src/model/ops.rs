//! Operations on dfdx's tape: the only meeting of dfdx and the kernels.
//!
//! Each computes with the kernels and records one backward operation; what backward needs stays in the recorded
//! closure. Without a tape nothing is kept. Gradients of parameters go to the network; the
//! tape carries those of what crosses between operations. One forward pass of the encoder serves any number of heads:
//! their gradients add up on the tape, and the encoder's backward, recorded first, runs once and last.

use dfdx::prelude::{
    Cpu, Gradients, HasErr, HasShape, PutTape, SplitTape, Tape, Tensor, TensorFromVec,
};
use dfdx::shapes::Shape;

use super::network::Network;
use super::tensor::{Matrix, Scalar, Vector, matrix, values};
use crate::data::PackedBatch;
use crate::kernels::encoder::{PackedRows, Regularisation};
use crate::kernels::gemm::{Gemm, Store};
use crate::kernels::linear::LinearGradient;
use crate::kernels::vector::to_length_one;
use crate::kernels::{embedding, rows as arithmetic, tanh as hyperbolic};

/// A batch, where its hidden states are wanted, and the dropout on the way there.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// The rows.
    pub batch: &'a PackedBatch,
    /// Positions in the packed tokens, (N).
    pub wanted: &'a [u32],
    /// `None` for prediction.
    pub regularisation: Option<&'a Regularisation>,
}

impl<'a> Pass<'a> {
    /// Without dropout.
    pub fn prediction(batch: &'a PackedBatch, wanted: &'a [u32]) -> Self {
        Self {
            batch,
            wanted,
            regularisation: None,
        }
    }
}

/// Some rows of a matrix, (numbers × columns), in the given order; a row may be taken more than once.
///
/// # Panics
/// Where a number is beyond the last row.
pub fn rows<T: Tape<f32, Cpu>>(x: Matrix<T>, numbers: &[u32]) -> Matrix<T> {
    let (x, tape) = x.split_tape();
    let width = x.shape().1;
    let mut picked = vec![0.0; numbers.len() * width];
    embedding::select(&values(&x), numbers, width, &mut picked);
    let output = matrix(x.device(), picked, numbers.len(), width);
    let numbers = numbers.to_vec();
    record(x, output, tape, move |dy, dx| {
        embedding::scatter_add(dx, &numbers, width, &dy);
    })
}

/// One column of a matrix, (rows).
///
/// # Panics
/// Where there is no such column.
pub fn column<T: Tape<f32, Cpu>>(x: Matrix<T>, number: usize) -> Vector<T> {
    let (x, tape) = x.split_tape();
    let (n_rows, width) = *x.shape();
    assert!(number < width, "column {number} of {width}");
    let picked: Vec<f32> = values(&x)[..]
        .chunks_exact(width)
        .map(|row| row[number])
        .collect();
    let output: Vector = x.device().tensor_from_vec(picked, (n_rows,));
    record(x, output, tape, move |dy, dx| {
        for (dx, dy) in dx.chunks_exact_mut(width).zip(dy) {
            dx[number] += dy;
        }
    })
}

/// Each row of a matrix divided by its length, (rows × columns). A row of zeros stays one, and gets no gradient.
pub fn unit_rows<T: Tape<f32, Cpu>>(x: Matrix<T>) -> Matrix<T> {
    let (x, tape) = x.split_tape();
    let (n_rows, width) = *x.shape();
    let mut units = x.as_vec();
    let scales = units.chunks_exact_mut(width).map(to_length_one);
    let scales: Vec<f64> = scales.collect();
    let output = matrix(x.device(), units.clone(), n_rows, width);
    record(x, output, tape, move |dy, dx| {
        let rows = units.chunks_exact(width).zip(dy.chunks_exact(width));
        let rows = rows.zip(dx.chunks_exact_mut(width)).zip(scales);
        for (((unit, dy), dx), scale) in rows {
            let along = unit.iter().zip(dy);
            let along: f64 = along.map(|(&y, &d)| f64::from(y) * f64::from(d)).sum();
            for ((dx, &y), &dy) in dx.iter_mut().zip(unit).zip(dy) {
                *dx += ((f64::from(dy) - f64::from(y) * along) * scale) as f32;
            }
        }
    })
}

/// A function of a vector that dfdx cannot write in good time (one that sorts): `value_and_gradient` gives its value and
/// the gradient of that by each element.
///
/// # Panics
/// Where the gradient has another length than the vector.
pub fn closed_form<T: Tape<f32, Cpu>>(
    x: Vector<T>,
    value_and_gradient: impl FnOnce(&[f32]) -> (f32, Vec<f32>),
) -> Scalar<T> {
    let (x, tape) = x.split_tape();
    let (value, gradient) = value_and_gradient(&x.as_vec());
    assert_eq!(gradient.len(), x.shape().0, "one derivative an element");
    let output: Scalar = x.device().tensor_from_vec(vec![value], ());
    record(x, output, tape, move |dy, dx| {
        arithmetic::add_scaled(dx, dy[0], &gradient);
    })
}

/// Last hidden states at the wanted positions, (N × H).
pub(super) fn encode<G: Gemm, T: Tape<f32, Cpu>>(
    gemm: G,
    network: &Network,
    pass: &Pass,
    mut tape: T,
) -> Matrix<T> {
    let encoder = network.encoder();
    let (states, saved) =
        encoder.forward(gemm, &packed(pass.batch), pass.wanted, pass.regularisation);
    let (n, width) = (pass.wanted.len(), network.config.hidden_size);
    let output = matrix(&Cpu::default(), states.to_vec(), n, width);
    if T::OWNS_TAPE {
        let (network, batch, y) = (network.clone(), pass.batch.clone(), output.clone());
        let regularisation = pass.regularisation.copied();
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            network.add_to_encoder(|gradient| {
                let (encoder, batch) = (network.encoder(), packed(&batch));
                let regularisation = regularisation.as_ref();
                encoder.backward(gemm, &batch, saved, &dy, regularisation, gradient);
            });
            Ok(())
        });
    }
    output.put_tape(tape)
}

/// Cross-entropy of the MLM head against target tokens, over the whole vocabulary, (N).
pub(super) fn mlm_losses<G: Gemm, T: Tape<f32, Cpu>>(
    gemm: G,
    network: &Network,
    states: Matrix<T>,
    targets: &[u32],
) -> Vector<T> {
    let (x, tape) = states.split_tape();
    assert_eq!(x.shape().0, targets.len(), "one target a state");
    let (losses, saved) = network.head().losses(gemm, &values(&x), targets);
    let output: Vector = x.device().tensor_from_vec(losses, (targets.len(),));
    let network = network.clone();
    record(x, output, tape, move |dy, dx| {
        let head = network.head();
        let of_states = network.add_to_head(|into| head.backward(gemm, saved, &dy, into));
        arithmetic::add(dx, &of_states);
    })
}

/// Logits of the MLM head for a few tokens, (N × tokens).
pub(super) fn token_logits<G: Gemm, T: Tape<f32, Cpu>>(
    gemm: G,
    network: &Network,
    states: Matrix<T>,
    tokens: &[u32],
) -> Matrix<T> {
    let (x, tape) = states.split_tape();
    let (logits, saved) = network.head().token_logits(gemm, &values(&x), tokens);
    let output = matrix(x.device(), logits, x.shape().0, tokens.len());
    let network = network.clone();
    record(x, output, tape, move |dy, dx| {
        let head = network.head();
        let of_states =
            network.add_to_head(|into| head.token_logits_backward(gemm, saved, &dy, into));
        arithmetic::add(dx, &of_states);
    })
}

/// The affine map `name`, (N × in) to (N × out), in f32.
pub(super) fn linear<T: Tape<f32, Cpu>>(x: Matrix<T>, network: &Network, name: &str) -> Matrix<T> {
    let (x, tape) = x.split_tape();
    let inputs = values(&x);
    let linear = network.parameters.linear(name);
    let (n_rows, n_out) = (x.shape().0, linear.n_out());
    let output = matrix(x.device(), linear.forward(&inputs), n_rows, n_out);
    let (parameters, name) = (network.parameters.clone(), name.to_owned());
    record(x, output, tape, move |dy, dx| {
        let mut gradient = parameters.take_affine(&name);
        let into = LinearGradient {
            weight: &mut gradient.weight,
            bias: &mut gradient.bias,
        };
        let linear = parameters.linear(&name);
        linear.backward(&inputs, &dy, into, dx, Store::Add);
        parameters.put_affine(&name, gradient);
    })
}

/// The hyperbolic tangent of each element. The crate's own: that of the system has other last bits elsewhere.
pub(super) fn tanh<T: Tape<f32, Cpu>>(x: Matrix<T>) -> Matrix<T> {
    let (x, tape) = x.split_tape();
    let (n_rows, width) = *x.shape();
    let mut outputs = values(&x);
    hyperbolic::forward(&mut outputs);
    let output = matrix(x.device(), outputs.to_vec(), n_rows, width);
    record(x, output, tape, move |mut dy, dx| {
        hyperbolic::backward(&outputs, &mut dy);
        arithmetic::add(dx, &dy);
    })
}

/// The batch as the encoder takes it.
pub(super) fn packed(batch: &PackedBatch) -> PackedRows<'_> {
    PackedRows {
        input_ids: &batch.input_ids,
        position_ids: &batch.position_ids,
        segment_ids: &batch.segment_ids,
        visible: (!batch.visible.is_empty()).then_some(&batch.visible[..]),
        offsets: &batch.offsets,
    }
}

/// Takes the gradient of an operation's output: nobody reads it afterwards.
fn take<S: Shape>(
    gradients: &mut Gradients<f32, Cpu>,
    output: &Tensor<S, f32, Cpu>,
) -> Result<Vec<f32>, <Cpu as HasErr>::Err> {
    Ok(std::mem::take(&mut **gradients.get_or_alloc_mut(output)?))
}

/// An operation's output on the tape. `backward` adds to the gradient of the input `x`, from that of the output.
fn record<S: Shape, R: Shape, T: Tape<f32, Cpu>>(
    x: Tensor<S, f32, Cpu>,
    output: Tensor<R, f32, Cpu>,
    mut tape: T,
    backward: impl FnOnce(Vec<f32>, &mut [f32]) + 'static,
) -> Tensor<R, f32, Cpu, T> {
    if T::OWNS_TAPE {
        let y = output.clone();
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            backward(dy, gradients.get_or_alloc_mut(&x)?);
            Ok(())
        });
    }
    output.put_tape(tape)
}
