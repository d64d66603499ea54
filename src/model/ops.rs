//! Fused operations on dfdx's tape, one a block of the network: the only meeting of dfdx and the kernels.
//!
//! Each takes its input tensor with the tape, computes with the kernels, and records one backward operation.
//! Activations that backward needs stay in the recorded closure. Without a tape nothing is kept.
//! Every operation has its derivative checked against transformers by the golden test.

use dfdx::prelude::{Cpu, Gradients, HasShape, PutTape, SplitTape, Tape, Tensor, TensorFromVec};
use dfdx::shapes::Shape;

use super::tensor::{Matrix, Vector, matrix, values};
use crate::kernels::attention::Attention;
use crate::kernels::attention_block::{AttentionBlock, AttentionBlockGradient};
use crate::kernels::dropout::Dropout;
use crate::kernels::feed_forward_block::{FeedForwardBlock, FeedForwardBlockGradient};
use crate::kernels::gemm::Into;
use crate::kernels::layer_norm::{LayerNorm, LayerNormGradient};
use crate::kernels::linear::{Linear, LinearGradient};
use crate::kernels::transform::{Transform, TransformGradient};
use crate::kernels::{cross_entropy, embedding};

/// Weight (out × in) and bias (1 × out) of an affine map; or γ and β of a norm, both (1 × H).
#[derive(Debug, Clone)]
pub struct Affine {
    /// Weight, or γ.
    pub weight: Matrix,
    /// Bias, or β.
    pub bias: Matrix,
}

impl Affine {
    fn linear(&self) -> Linear<'_> {
        Linear {
            weight: values(&self.weight),
            bias: values(&self.bias),
        }
    }

    fn norm(&self, epsilon: f32) -> LayerNorm<'_> {
        LayerNorm {
            weight: values(&self.weight),
            bias: values(&self.bias),
            epsilon,
        }
    }
}

/// Token, position and segment tables, and the norm after their sum.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// (V × H).
    pub word: Matrix,
    /// (positions × H).
    pub position: Matrix,
    /// (segments × H).
    pub segment: Matrix,
    /// After the sum.
    pub norm: Affine,
}

/// Parameters of the attention half of a layer.
#[derive(Debug, Clone)]
pub struct AttentionParameters {
    /// W_q.
    pub query: Affine,
    /// W_k.
    pub key: Affine,
    /// W_v.
    pub value: Affine,
    /// W_o.
    pub output: Affine,
    /// After the residual sum.
    pub norm: Affine,
}

impl AttentionParameters {
    fn block<'a>(
        &'a self,
        rows: &'a AttentionRows,
        hidden: usize,
        epsilon: f32,
        dropout: Option<Dropout>,
    ) -> AttentionBlock<'a> {
        AttentionBlock {
            query: self.query.linear(),
            key: self.key.linear(),
            value: self.value.linear(),
            output: self.output.linear(),
            norm: self.norm.norm(epsilon),
            attention: Attention {
                offsets: &rows.offsets,
                hidden,
                heads: rows.heads,
                dropout: rows.dropout,
            },
            dropout,
        }
    }
}

/// Parameters of the feed-forward half of a layer.
#[derive(Debug, Clone)]
pub struct FeedForwardParameters {
    /// W_1.
    pub intermediate: Affine,
    /// W_2.
    pub output: Affine,
    /// After the residual sum.
    pub norm: Affine,
}

impl FeedForwardParameters {
    fn block(&self, epsilon: f32, dropout: Option<Dropout>) -> FeedForwardBlock<'_> {
        FeedForwardBlock {
            intermediate: self.intermediate.linear(),
            output: self.output.linear(),
            norm: self.norm.norm(epsilon),
            dropout,
        }
    }
}

/// Parameters of the MLM head before its decoder.
#[derive(Debug, Clone)]
pub struct TransformParameters {
    /// W.
    pub dense: Affine,
    /// After the GELU.
    pub norm: Affine,
}

impl TransformParameters {
    fn block(&self, epsilon: f32) -> Transform<'_> {
        Transform {
            dense: self.dense.linear(),
            norm: self.norm.norm(epsilon),
        }
    }
}

/// Rows, heads and dropout of one layer's attention.
#[derive(Debug, Clone)]
pub struct AttentionRows {
    /// Row offsets of the packed batch.
    pub offsets: std::sync::Arc<[usize]>,
    /// A.
    pub heads: usize,
    /// Of the probabilities.
    pub dropout: Option<Dropout>,
}

/// `dropout(LN(word[ids] + position[positions] + segment[segments]))`, (T × H).
pub fn embed<T: Tape<f32, Cpu>>(
    embeddings: &Embeddings,
    ids: [&[u32]; 3],
    epsilon: f32,
    dropout: Option<Dropout>,
    mut tape: T,
) -> Matrix<T> {
    let width = embeddings.word.shape().1;
    let tables = [&embeddings.word, &embeddings.position, &embeddings.segment];
    let mut sum = embedding::gather(values(tables[0]), ids[0], width);
    embedding::gather_add(values(tables[1]), ids[1], width, &mut sum);
    embedding::gather_add(values(tables[2]), ids[2], width, &mut sum);
    let (mut y, normalised) = embeddings.norm.norm(epsilon).forward(sum);
    if let Some(dropout) = dropout {
        dropout.apply(&mut y);
    }
    let output = matrix(embeddings.word.device(), y, ids[0].len(), width);
    if T::OWNS_TAPE {
        let (embeddings, ids, y) = (embeddings.clone(), ids.map(<[u32]>::to_vec), output.clone());
        tape.add_backward_op(move |gradients| {
            let mut dy = take(gradients, &y)?;
            if let Some(dropout) = dropout {
                dropout.apply(&mut dy);
            }
            with_gradients(
                gradients,
                [&embeddings.norm.weight, &embeddings.norm.bias],
                |[weight, bias]| {
                    let gradient = LayerNormGradient { weight, bias };
                    embeddings
                        .norm
                        .norm(epsilon)
                        .backward(&normalised, &mut dy, gradient);
                },
            )?;
            for (table, ids) in [&embeddings.word, &embeddings.position, &embeddings.segment]
                .into_iter()
                .zip(&ids)
            {
                with_gradients(gradients, [table], |[table]| {
                    embedding::scatter_add(table, ids, width, &dy)
                })?;
            }
            Ok(())
        });
    }
    output.put_tape(tape)
}

/// Attention half of a layer, (T × H) to (T × H).
pub fn attention_block<T: Tape<f32, Cpu>>(
    x: Matrix<T>,
    parameters: &AttentionParameters,
    rows: &AttentionRows,
    epsilon: f32,
    dropout: Option<Dropout>,
) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let (n_tokens, hidden) = *x.shape();
    let (y, saved) = parameters
        .block(rows, hidden, epsilon, dropout)
        .forward(values(&x));
    let output = matrix(x.device(), y, n_tokens, hidden);
    if T::OWNS_TAPE {
        let (p, rows, y) = (parameters.clone(), rows.clone(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            let tensors = [
                &p.query.weight,
                &p.query.bias,
                &p.key.weight,
                &p.key.bias,
                &p.value.weight,
                &p.value.bias,
                &p.output.weight,
                &p.output.bias,
                &p.norm.weight,
                &p.norm.bias,
                &x,
            ];
            with_gradients(
                gradients,
                tensors,
                |[qw, qb, kw, kb, vw, vb, ow, ob, nw, nb, dx]| {
                    let gradient = AttentionBlockGradient {
                        query: LinearGradient {
                            weight: qw,
                            bias: qb,
                        },
                        key: LinearGradient {
                            weight: kw,
                            bias: kb,
                        },
                        value: LinearGradient {
                            weight: vw,
                            bias: vb,
                        },
                        output: LinearGradient {
                            weight: ow,
                            bias: ob,
                        },
                        norm: LayerNormGradient {
                            weight: nw,
                            bias: nb,
                        },
                    };
                    let block = p.block(&rows, hidden, epsilon, dropout);
                    block.backward(values(&x), &saved, dy, gradient, dx);
                },
            )
        });
    }
    output.put_tape(tape)
}

/// Feed-forward half of a layer, (T × H) to (T × H).
pub fn feed_forward_block<T: Tape<f32, Cpu>>(
    x: Matrix<T>,
    parameters: &FeedForwardParameters,
    epsilon: f32,
    dropout: Option<Dropout>,
) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let (n_tokens, hidden) = *x.shape();
    let (y, saved) = parameters.block(epsilon, dropout).forward(values(&x));
    let output = matrix(x.device(), y, n_tokens, hidden);
    if T::OWNS_TAPE {
        let (p, y) = (parameters.clone(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            let tensors = [
                &p.intermediate.weight,
                &p.intermediate.bias,
                &p.output.weight,
                &p.output.bias,
                &p.norm.weight,
                &p.norm.bias,
                &x,
            ];
            with_gradients(gradients, tensors, |[iw, ib, ow, ob, nw, nb, dx]| {
                let gradient = FeedForwardBlockGradient {
                    intermediate: LinearGradient {
                        weight: iw,
                        bias: ib,
                    },
                    output: LinearGradient {
                        weight: ow,
                        bias: ob,
                    },
                    norm: LayerNormGradient {
                        weight: nw,
                        bias: nb,
                    },
                };
                p.block(epsilon, dropout)
                    .backward(values(&x), &saved, dy, gradient, dx);
            })
        });
    }
    output.put_tape(tape)
}

/// Picks rows: x (T × H) to (N × H). Positions may repeat.
pub fn select_rows<T: Tape<f32, Cpu>>(x: Matrix<T>, positions: &[u32]) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let width = x.shape().1;
    let output = matrix(
        x.device(),
        embedding::gather(values(&x), positions, width),
        positions.len(),
        width,
    );
    if T::OWNS_TAPE {
        let (positions, y) = (positions.to_vec(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            with_gradients(gradients, [&x], |[dx]| {
                embedding::scatter_add(dx, &positions, width, &dy)
            })
        });
    }
    output.put_tape(tape)
}

/// The MLM head before its decoder, (N × H) to (N × H).
pub fn transform<T: Tape<f32, Cpu>>(
    x: Matrix<T>,
    parameters: &TransformParameters,
    epsilon: f32,
) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let (n_rows, hidden) = *x.shape();
    let (y, saved) = parameters.block(epsilon).forward(values(&x));
    let output = matrix(x.device(), y, n_rows, hidden);
    if T::OWNS_TAPE {
        let (p, y) = (parameters.clone(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            let tensors = [
                &p.dense.weight,
                &p.dense.bias,
                &p.norm.weight,
                &p.norm.bias,
                &x,
            ];
            with_gradients(gradients, tensors, |[dw, db, nw, nb, dx]| {
                let gradient = TransformGradient {
                    dense: LinearGradient {
                        weight: dw,
                        bias: db,
                    },
                    norm: LayerNormGradient {
                        weight: nw,
                        bias: nb,
                    },
                };
                p.block(epsilon)
                    .backward(values(&x), &saved, dy, gradient, dx);
            })
        });
    }
    output.put_tape(tape)
}

/// Affine map, (N × in) to (N × out).
pub fn linear<T: Tape<f32, Cpu>>(x: Matrix<T>, affine: &Affine) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let (n_rows, n_out) = (x.shape().0, affine.bias.shape().1);
    let output = matrix(
        x.device(),
        affine.linear().forward(values(&x)),
        n_rows,
        n_out,
    );
    if T::OWNS_TAPE {
        let (affine, y) = (affine.clone(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            with_gradients(
                gradients,
                [&affine.weight, &affine.bias, &x],
                |[weight, bias, dx]| {
                    let gradient = LinearGradient { weight, bias };
                    affine
                        .linear()
                        .backward(values(&x), &dy, gradient, dx, Into::Add);
                },
            )
        });
    }
    output.put_tape(tape)
}

/// Affine map and softmax cross-entropy in one: x (N × H), targets (N) to losses (N). The logits (N × V) never
/// become a tensor. With the word embeddings and the MLM bias it is the tied decoder.
pub fn linear_cross_entropy<T: Tape<f32, Cpu>>(
    x: Matrix<T>,
    affine: &Affine,
    targets: &[u32],
) -> Vector<T> {
    let (x, mut tape) = x.split_tape();
    let mut logits = affine.linear().forward(values(&x));
    let losses = cross_entropy::forward(&mut logits, targets);
    let output: Vector = x.device().tensor_from_vec(losses, (targets.len(),));
    if T::OWNS_TAPE {
        let (affine, targets, y) = (affine.clone(), targets.to_vec(), output.clone());
        let mut probabilities = logits;
        tape.add_backward_op(move |gradients| {
            let d_losses = take(gradients, &y)?;
            cross_entropy::backward(&mut probabilities, &targets, &d_losses);
            with_gradients(
                gradients,
                [&affine.weight, &affine.bias, &x],
                |[weight, bias, dx]| {
                    let gradient = LinearGradient { weight, bias };
                    affine
                        .linear()
                        .backward(values(&x), &probabilities, gradient, dx, Into::Add);
                },
            )
        });
    }
    output.put_tape(tape)
}

/// Takes the gradient of an operation's output: nobody reads it afterwards.
fn take<S: Shape>(
    gradients: &mut Gradients<f32, Cpu>,
    output: &Tensor<S, f32, Cpu>,
) -> Result<Vec<f32>, <Cpu as dfdx::prelude::HasErr>::Err> {
    Ok(std::mem::take(&mut **gradients.get_or_alloc_mut(output)?))
}

/// Hands `work` the gradients of several different tensors at once, to be added to.
fn with_gradients<const N: usize>(
    gradients: &mut Gradients<f32, Cpu>,
    tensors: [&Matrix; N],
    work: impl FnOnce([&mut [f32]; N]),
) -> Result<(), <Cpu as dfdx::prelude::HasErr>::Err> {
    let mut taken: [Vec<f32>; N] = std::array::from_fn(|_| Vec::new());
    for (taken, tensor) in taken.iter_mut().zip(tensors) {
        *taken = take(gradients, tensor)?;
    }
    work(taken.each_mut().map(Vec::as_mut_slice));
    for (taken, tensor) in taken.into_iter().zip(tensors) {
        **gradients.get_or_alloc_mut(tensor)? = taken;
    }
    Ok(())
}
