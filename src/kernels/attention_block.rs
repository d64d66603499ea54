//! The attention half of a BERT layer: projections, attention, output projection, dropout, residual sum, norm.
//!
//! In: x (T × H) of some consecutive rows of a batch, which of its tokens ask, and where queries and keys are turned. Out: `LN(x + dropout(W_o context + b_o))`
//! at those, (Q × H). One task of one thread: everything between x and y stays in its caches.

use super::attention::{Attention, KeysAndValues, Qkv};
use super::buffer::Buffer;
use super::dropout::Dropout;
use super::gemm::{Gemm, Rows, Store};
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::Linear;
use super::rotary::Rotary;
use super::rows;

/// Weights and sizes of the block.
#[derive(Debug, Clone, Copy)]
pub struct AttentionBlock<'a> {
    /// W_q, (H × H).
    pub query: Linear<'a>,
    /// W_k, (H × H).
    pub key: Linear<'a>,
    /// W_v, (H × H).
    pub value: Linear<'a>,
    /// W_o, (H × H).
    pub output: Linear<'a>,
    /// After the residual sum.
    pub norm: LayerNorm<'a>,
}

/// The rows that a task has, and their dropout.
#[derive(Debug, Clone, Copy)]
pub struct AttentionTask<'a> {
    /// Rows, heads and the dropout of probabilities.
    pub attention: Attention<'a>,
    /// The tokens that ask, in the order of `attention.query_offsets`; `None` where all do.
    pub asking: Option<&'a [u32]>,
    /// How queries and keys are turned by their positions; `None` where they are not.
    pub rotary: Option<Rotary<'a>>,
    /// Dropout of the output projection.
    pub dropout: Option<Dropout>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct SavedAttention<G: Gemm> {
    /// Input of W_k and W_v, and of W_q where all tokens ask.
    pub x: G::Right,
    /// Input of W_q where only some do.
    pub asking: Option<G::Right>,
    /// Input of W_o.
    pub context: G::Right,
    qkv: Qkv,
    probabilities: Buffer<f32>,
    normalised: Normalised,
}

/// What a backward leaves for the gradients of the weights.
#[derive(Debug)]
pub struct OutputGradients<G: Gemm> {
    /// Of W_q's output, as are the following of theirs.
    pub query: G::Left,
    /// Of W_k's.
    pub key: G::Left,
    /// Of W_v's.
    pub value: G::Left,
    /// Of W_o's.
    pub output: G::Left,
    /// Gradients of the biases of q, k, v and o, and of γ and β: (6 × H).
    pub vectors: Buffer<f32>,
}

impl AttentionBlock<'_> {
    /// Output (Q × H), and what backward needs.
    pub fn forward<G: Gemm>(
        &self,
        gemm: G,
        task: &AttentionTask,
        x: &[f32],
    ) -> (Buffer<f32>, SavedAttention<G>) {
        let hidden = task.attention.hidden;
        let inputs = Rows::of(gemm, x, hidden);
        let asking = task.asking.map(|asking| inputs.select(gemm, asking));
        let mut qkv = self.project(gemm, &inputs, asking.as_ref().unwrap_or(&inputs));
        if let Some(rotary) = &task.rotary {
            rotary.turn(&mut qkv);
        }
        let mut context = Buffer::new(qkv.query.len());
        let probabilities = task.attention.forward(&qkv, &mut context);
        let context = Rows::of(gemm, &context, hidden);
        let mut sum = projected(gemm, &self.output, &context);
        task.drop_out(&mut sum);
        match task.asking {
            None => rows::add(&mut sum, x),
            Some(asking) => {
                for (sum, &token) in sum.chunks_exact_mut(hidden).zip(asking) {
                    rows::add(sum, &x[token as usize * hidden..][..hidden]);
                }
            }
        }
        let (y, normalised) = self.norm.forward(sum);
        let saved = SavedAttention {
            x: gemm.right(inputs),
            asking: asking.map(|asking| gemm.right(asking)),
            context: gemm.right(context),
            qkv,
            probabilities,
            normalised,
        };
        (y, saved)
    }

    /// Output (T × H) for tokens that see other keys than each other's: `attend` writes their context (T × H) from their
    /// queries, keys and values, the last two of which are returned, keys as they were turned. Without dropout, and nothing is kept for backward.
    pub fn forward_with<G: Gemm>(
        &self,
        gemm: G,
        x: &[f32],
        rotary: Option<Rotary>,
        attend: impl FnOnce(&Qkv, &mut [f32]),
    ) -> (Buffer<f32>, KeysAndValues) {
        let width = self.query.n_in();
        let inputs = Rows::of(gemm, x, width);
        let mut qkv = self.project(gemm, &inputs, &inputs);
        if let Some(rotary) = &rotary {
            rotary.turn(&mut qkv);
        }
        let mut context = Buffer::new(qkv.query.len());
        attend(&qkv, &mut context);
        let mut sum = projected(gemm, &self.output, &Rows::of(gemm, &context, width));
        rows::add(&mut sum, x);
        (self.norm.forward(sum).0, qkv.into())
    }

    fn project<G: Gemm>(
        &self,
        gemm: G,
        inputs: &Rows<G::Element>,
        asking: &Rows<G::Element>,
    ) -> Qkv {
        Qkv {
            query: projected(gemm, &self.query, asking),
            key: projected(gemm, &self.key, inputs),
            value: projected(gemm, &self.value, inputs),
        }
    }

    /// From dy (Q × H), which it takes over, to dx (T × H).
    pub fn backward<G: Gemm>(
        &self,
        gemm: G,
        task: &AttentionTask,
        saved: &SavedAttention<G>,
        mut dy: Buffer<f32>,
    ) -> (Buffer<f32>, OutputGradients<G>) {
        let hidden = task.attention.hidden;
        let mut vectors = Buffer::zeros(6 * hidden);
        let [d_query, d_key, d_value, d_output, weight, bias] =
            rows::parts(&mut vectors, [hidden; 6]);
        let gradient = LayerNormGradient { weight, bias };
        self.norm.backward(&saved.normalised, &mut dy, gradient);
        let residual = Buffer::from_slice(&dy);
        task.drop_out(&mut dy);
        rows::add_column_sums(&dy, d_output);
        let output = Rows::of(gemm, &dy, hidden);
        let mut d_context = dy; // its values are in `output` now
        gemm.input_gradient(&output, &self.output, &mut d_context, Store::Overwrite);
        let mut qkv = task
            .attention
            .backward(&saved.qkv, &saved.probabilities, &d_context);
        if let Some(rotary) = &task.rotary {
            rotary.turn_back(&mut qkv);
        }
        rows::add_column_sums(&qkv.query, d_query);
        rows::add_column_sums(&qkv.key, d_key);
        rows::add_column_sums(&qkv.value, d_value);
        let query = Rows::of(gemm, &qkv.query, hidden);
        let key = Rows::of(gemm, &qkv.key, hidden);
        let value = Rows::of(gemm, &qkv.value, hidden);

        let mut asked = residual;
        gemm.input_gradient(&query, &self.query, &mut asked, Store::Add);
        let mut dx = match task.asking {
            None => asked,
            Some(asking) => {
                let mut dx = Buffer::zeros(qkv.key.len());
                for (asked, &token) in asked.chunks_exact(hidden).zip(asking) {
                    rows::add(&mut dx[token as usize * hidden..][..hidden], asked);
                }
                dx
            }
        };
        gemm.input_gradient(&key, &self.key, &mut dx, Store::Add);
        gemm.input_gradient(&value, &self.value, &mut dx, Store::Add);
        let gradients = OutputGradients {
            query: gemm.left(query),
            key: gemm.left(key),
            value: gemm.left(value),
            output: gemm.left(output),
            vectors,
        };
        (dx, gradients)
    }
}

/// The output of an affine map, (rows × out).
fn projected<G: Gemm>(gemm: G, linear: &Linear, inputs: &Rows<G::Element>) -> Buffer<f32> {
    let mut output = Buffer::new(inputs.n_rows() * linear.n_out());
    gemm.forward(inputs, linear, &mut output);
    output
}

impl<G: Gemm> SavedAttention<G> {
    /// Keys and values of the block's tokens, each (T × H).
    pub fn into_keys_and_values(self) -> KeysAndValues {
        self.qkv.into()
    }
}

impl AttentionTask<'_> {
    /// Each row of the batch has a mask of its own, whatever task it is in.
    fn drop_out(&self, values: &mut [f32]) {
        let Attention {
            query_offsets,
            first_row,
            hidden,
            ..
        } = self.attention;
        if let Some(dropout) = self.dropout {
            dropout.apply_to_rows(values, query_offsets, hidden, first_row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::WeightGradient;
    use crate::kernels::gemm::portable::F32;
    use crate::kernels::gemm::weight::PackedWeight;
    use crate::kernels::naive;
    use crate::kernels::rotary::RotaryTable;
    use crate::random::Key;

    const HIDDEN: usize = 6;
    const OFFSETS: [usize; 4] = [0, 1, 4, 9];
    const EPSILON: f32 = 1e-3;
    /// By which a pair is turned at each position.
    const ANGLES: [f64; 1] = [0.4];

    /// x, then weight and bias of query, key, value, output, norm.
    fn arrays() -> Vec<Vec<f32>> {
        let sizes = [9 * HIDDEN, 36, 6, 36, 6, 36, 6, 36, 6, 6, 6];
        sizes
            .iter()
            .zip(1..)
            .map(|(&n, seed)| naive::values(n, seed))
            .collect()
    }

    fn block<'a>(arrays: &'a [Vec<f32>], packed: &'a PackedWeight) -> AttentionBlock<'a> {
        let linear = |i: usize| Linear {
            weight: &arrays[i],
            bias: &arrays[i + 1],
            packed,
        };
        AttentionBlock {
            query: linear(1),
            key: linear(3),
            value: linear(5),
            output: linear(7),
            norm: LayerNorm {
                weight: &arrays[9],
                bias: &arrays[10],
                epsilon: EPSILON,
            },
        }
    }

    fn naive_block(arrays: &[Vec<f32>], task: &AttentionTask) -> Vec<f32> {
        let linear = |x: &[f32], i: usize| naive::linear(x, &arrays[i], &arrays[i + 1]);
        let x = &arrays[0];
        let asking = match task.asking {
            None => x.clone(),
            Some(asking) => naive::select(x, asking, HIDDEN),
        };
        let (mut q, mut k, v) = (linear(&asking, 1), linear(x, 3), linear(x, 5));
        if let Some(rotary) = task.rotary {
            let size = HIDDEN / task.attention.heads;
            q = naive::turn(&q, HIDDEN, size, rotary.queries, ANGLES);
            k = naive::turn(&k, HIDDEN, size, rotary.keys, ANGLES);
        }
        let context = naive::attention(&task.attention, [&q, &k, &v]);
        let mut factors = vec![1.0; asking.len()];
        task.drop_out(&mut factors);
        let sum = naive::residual(&linear(&context, 7), &factors, &asking);
        naive::layer_norm(&sum, &arrays[9], &arrays[10], f64::from(EPSILON))
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twin() {
        let dropout = |seed| Dropout::new(0.3, Key::from_seed(seed));
        let some: (&[usize], Option<&[u32]>) = (&[0, 1, 1, 4], Some(&[0, 4, 6, 8]));
        let angle = |f: fn(f64) -> f64| (0..9).map(move |p| f(f64::from(p) * ANGLES[0]) as f32);
        let table = RotaryTable::new(angle(f64::sin).collect(), angle(f64::cos).collect(), 2);
        let positions: [u32; 9] = [0, 0, 2, 1, 0, 1, 2, 3, 8];
        for ((query_offsets, asking), is_rotary) in
            [(&OFFSETS[..], None), some, (&OFFSETS[..], None), some]
                .into_iter()
                .zip([false, false, true, true])
        {
            let queries: Vec<u32> = match asking {
                None => positions.to_vec(),
                Some(asking) => asking.iter().map(|&i| positions[i as usize]).collect(),
            };
            for dropouts in [[None, None], [dropout(1), dropout(2)]] {
                let (arrays, packed) = (arrays(), PackedWeight::default());
                let block = block(&arrays, &packed);
                let task = AttentionTask {
                    attention: Attention {
                        offsets: &OFFSETS,
                        query_offsets,
                        visible: None,
                        relative: None,
                        first_row: 2,
                        hidden: HIDDEN,
                        heads: if is_rotary { 3 } else { 2 },
                        dropout: dropouts[0],
                    },
                    asking,
                    rotary: is_rotary.then_some(Rotary {
                        table: &table,
                        keys: &positions,
                        queries: &queries,
                    }),
                    dropout: dropouts[1],
                };
                let (y, saved) = block.forward(F32, &task, &arrays[0]);
                naive::assert_close(&y, &naive_block(&arrays, &task), 2e-5);

                let dy = naive::values(y.len(), 99);
                let (dx, left) = block.backward(F32, &task, &saved, Buffer::from_slice(&dy));
                let mut weights = vec![vec![0.0; HIDDEN * HIDDEN]; 4];
                let inputs = [
                    saved.asking.as_ref().unwrap_or(&saved.x),
                    &saved.x,
                    &saved.context,
                ];
                let outputs = [&left.query, &left.key, &left.value, &left.output];
                let products = weights.iter_mut().zip(outputs).zip([0, 1, 1, 2]);
                let products = products.map(|((gradient, dy), input)| WeightGradient {
                    input,
                    dy: vec![dy],
                    gradient,
                });
                F32.weight_gradients(&inputs.map(|x| vec![x]), products.collect());
                let mut gradients = vec![dx.to_vec()];
                for (i, vector) in left.vectors.chunks(HIDDEN).enumerate() {
                    gradients.extend(weights.get(i).cloned());
                    gradients.push(vector.to_vec());
                }
                naive::assert_gradients(&arrays, &gradients, &dy, |arrays| {
                    naive_block(arrays, &task)
                });
            }
        }
    }
}
