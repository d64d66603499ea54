//! The MLM head with its loss: `LN(gelu(W x + b))`, the decoder over the whole vocabulary, softmax cross-entropy.
//!
//! In: hidden states at target positions (N × H) and the tokens wanted there. Out: losses (N), then gradients. Logits
//! exist for the rows of one task at a time; what stays until backward is their gradient, as elements.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::gemm::{Element, Gemm, Into, Rows, WeightGradient};
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::Linear;
use super::{AffineGradient, cross_entropy, denormals, gelu, rows};

/// Rows of one task.
const TASK: usize = 64;

/// Weights of the head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// W, (H × H).
    pub dense: Linear<'a>,
    /// After the GELU.
    pub norm: LayerNorm<'a>,
    /// (V × H), tied to the word embeddings; its bias (V) is free.
    pub decoder: Linear<'a>,
}

/// Gradients of the head, added to.
#[derive(Debug)]
pub struct HeadGradient {
    /// Of W and b.
    pub dense: AffineGradient,
    /// Of γ and β.
    pub norm: AffineGradient,
    /// Of the decoder.
    pub decoder: AffineGradient,
}

/// What backward needs of some rows.
#[derive(Debug)]
struct Part<G: Gemm> {
    x: G::Right,
    before_gelu: Buffer<f32>,
    normalised: Normalised,
    features: Buffer<f32>,
    /// `softmax - onehot`, the gradient of each row's own loss.
    d_logits: Rows<G::Element>,
}

/// What backward leaves of some rows, for the gradients of the weights.
struct LeftPart<G: Gemm> {
    x: G::Right,
    /// Times the gradients of their losses.
    features: G::Right,
    /// Gradient of the dense output.
    dense: G::Left,
    d_logits: G::Left,
    /// Gradients of the decoder's bias (V), of b, γ and β (3 × H).
    vectors: Buffer<f32>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct Saved<G: Gemm>(Vec<Part<G>>);

impl Head<'_> {
    /// Features (N × H), what the decoder reads.
    pub fn features<G: Gemm>(&self, gemm: G, x: &[f32]) -> Buffer<f32> {
        let width = self.dense.n_in();
        let mut features = Buffer::new(x.len());
        let size = chunk(x.len() / width) * width;
        let chunks = features.par_chunks_mut(size).zip(x.par_chunks(size));
        chunks.with_max_len(1).for_each(|(features, x)| {
            let (_, _, _, y) = self.transform(gemm, x);
            features.copy_from_slice(&y);
        });
        features
    }

    /// `-log softmax(logits)[target]` of each row, and what backward needs.
    ///
    /// # Panics
    /// Where a target is not below V.
    pub fn losses<G: Gemm>(&self, gemm: G, x: &[f32], targets: &[u32]) -> (Vec<f32>, Saved<G>) {
        let width = self.dense.n_in();
        let size = chunk(targets.len());
        let mut losses = vec![0.0; targets.len()];
        let parts = losses
            .par_chunks_mut(size)
            .zip(x.par_chunks(size * width))
            .zip(targets.par_chunks(size))
            .with_max_len(1)
            .map(|((losses, x), targets)| self.part(gemm, x, targets, losses))
            .collect();
        (losses, Saved(parts))
    }

    fn part<G: Gemm>(&self, gemm: G, x: &[f32], targets: &[u32], losses: &mut [f32]) -> Part<G> {
        let (x, before_gelu, normalised, features) = self.transform(gemm, x);
        let n_vocabulary = self.decoder.n_out();
        let mut logits = Buffer::new(targets.len() * n_vocabulary);
        let inputs = Rows::of(gemm, &features, self.dense.n_out());
        gemm.forward(&inputs, &self.decoder, &mut logits);
        let mut d_logits = Rows::new(gemm, targets.len(), n_vocabulary);
        let rows = logits
            .chunks_exact_mut(n_vocabulary)
            .zip(targets)
            .zip(losses);
        for (row, ((logits, &target), loss)) in rows.enumerate() {
            *loss = cross_entropy::loss_and_gradient(logits, target);
            Element::round(logits, d_logits.row_mut(row));
        }
        Part {
            x: gemm.right(x),
            before_gelu,
            normalised,
            features,
            d_logits,
        }
    }

    /// x as elements, before the GELU, what the norm's backward needs, and the features.
    fn transform<G: Gemm>(
        &self,
        gemm: G,
        x: &[f32],
    ) -> (Rows<G::Element>, Buffer<f32>, Normalised, Buffer<f32>) {
        let _flushed = denormals::flushed();
        let x = Rows::of(gemm, x, self.dense.n_in());
        let mut before_gelu = Buffer::new(x.n_rows() * self.dense.n_out());
        gemm.forward(&x, &self.dense, &mut before_gelu);
        let mut after_gelu = Buffer::new(before_gelu.len());
        gelu::forward(&before_gelu, &mut after_gelu);
        let (features, normalised) = self.norm.forward(after_gelu);
        (x, before_gelu, normalised, features)
    }

    /// From the gradients of the losses (N) to dx (N × H); adds to the gradients of the weights.
    pub fn backward<G: Gemm>(
        &self,
        gemm: G,
        saved: Saved<G>,
        d_losses: &[f32],
        gradient: &mut HeadGradient,
    ) -> Buffer<f32> {
        let width = self.dense.n_in();
        let mut dx = Buffer::new(d_losses.len() * width);
        let size = chunk(d_losses.len());
        let left: Vec<_> = dx
            .par_chunks_mut(size * width)
            .zip(d_losses.par_chunks(size))
            .zip(saved.0)
            .with_max_len(1)
            .map(|((dx, d_losses), part)| self.part_backward(gemm, part, d_losses, dx))
            .collect();
        for LeftPart { vectors, .. } in &left {
            let n_vocabulary = self.decoder.n_out();
            let (decoder, vectors) = vectors.split_at(n_vocabulary);
            rows::add(&mut gradient.decoder.bias, decoder);
            let vectors = vectors.chunks_exact(width);
            let sums = [
                &mut gradient.dense.bias,
                &mut gradient.norm.weight,
                &mut gradient.norm.bias,
            ];
            for (sum, vector) in sums.into_iter().zip(vectors) {
                rows::add(sum, vector);
            }
        }
        let inputs = [
            left.iter().map(|left| &left.features).collect(),
            left.iter().map(|left| &left.x).collect(),
        ];
        let decoder = WeightGradient {
            input: 0,
            dy: left.iter().map(|left| &left.d_logits).collect(),
            gradient: &mut gradient.decoder.weight,
        };
        let dense = WeightGradient {
            input: 1,
            dy: left.iter().map(|left| &left.dense).collect(),
            gradient: &mut gradient.dense.weight,
        };
        if !left.is_empty() {
            gemm.weight_gradients(&inputs, vec![decoder, dense]);
        }
        dx
    }

    /// Writes dx.
    fn part_backward<G: Gemm>(
        &self,
        gemm: G,
        part: Part<G>,
        d_losses: &[f32],
        dx: &mut [f32],
    ) -> LeftPart<G> {
        let _flushed = denormals::flushed();
        let (width, n_vocabulary) = (self.dense.n_out(), self.decoder.n_out());
        let mut vectors = Buffer::zeros(n_vocabulary + 3 * width);
        let [d_decoder_bias, d_dense_bias, weight, bias] =
            rows::parts(&mut vectors, [n_vocabulary, width, width, width]);
        let mut logits = Buffer::new(n_vocabulary);
        for (row, &d_loss) in d_losses.iter().enumerate() {
            Element::widen(part.d_logits.row(row), &mut logits);
            rows::add_scaled(d_decoder_bias, d_loss, &logits);
        }
        // d_logits are those of each row's own loss: its factor goes to the other side of each product.
        let mut dy = Buffer::new(d_losses.len() * width);
        gemm.input_gradient(&part.d_logits, &self.decoder, &mut dy, Into::Overwrite);
        let mut features = part.features;
        let pairs = dy
            .chunks_exact_mut(width)
            .zip(features.chunks_exact_mut(width));
        for ((dy, features), &d_loss) in pairs.zip(d_losses) {
            rows::scale(dy, d_loss);
            rows::scale(features, d_loss);
        }
        let gradient = LayerNormGradient { weight, bias };
        self.norm.backward(&part.normalised, &mut dy, gradient);
        gelu::backward(&part.before_gelu, &mut dy);
        rows::add_column_sums(&dy, d_dense_bias);
        let dense = Rows::of(gemm, &dy, width);
        gemm.input_gradient(&dense, &self.dense, dx, Into::Overwrite);
        LeftPart {
            x: part.x,
            features: gemm.right(Rows::of(gemm, &features, width)),
            dense: gemm.left(dense),
            d_logits: gemm.left(part.d_logits),
            vectors,
        }
    }
}

/// Rows of one task of `n`, at least 1.
fn chunk(n: usize) -> usize {
    n.div_ceil(rows::n_tasks(n, TASK).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::bf16::PackedWeight;
    use crate::kernels::gemm::portable::F32;
    use crate::kernels::naive;

    const TARGETS: [u32; 3] = [0, 6, 3];

    /// Losses weighted by nothing: one a row.
    fn naive_losses(arrays: &[Vec<f32>]) -> Vec<f32> {
        let inner = naive::gelu(&naive::linear(&arrays[0], &arrays[1], &arrays[2]));
        let features = naive::layer_norm(&inner, &arrays[3], &arrays[4], 1e-3);
        let logits = naive::linear(&features, &arrays[5], &arrays[6]);
        let loss = |(logits, target): (&[f32], u32)| naive::cross_entropy(logits, target) as f32;
        logits.chunks(7).zip(TARGETS).map(loss).collect()
    }

    #[test]
    fn losses_and_gradients_equal_their_naive_twin() {
        // x (3 × 5), then weight and bias of dense (5 × 5), norm, decoder (7 × 5).
        let arrays: Vec<Vec<f32>> = [15, 25, 5, 5, 5, 35, 7]
            .iter()
            .zip(1..)
            .map(|(&n, seed)| naive::values(n, seed))
            .collect();
        let packed = PackedWeight::default();
        let linear = |i: usize| Linear {
            weight: &arrays[i],
            bias: &arrays[i + 1],
            packed: &packed,
        };
        let head = Head {
            dense: linear(1),
            norm: LayerNorm {
                weight: &arrays[3],
                bias: &arrays[4],
                epsilon: 1e-3,
            },
            decoder: linear(5),
        };
        let (losses, saved) = head.losses(F32, &arrays[0], &TARGETS);
        naive::assert_close(&losses, &naive_losses(&arrays), 2e-5);

        let d_losses = naive::values(3, 99);
        let zeros = |i: usize| AffineGradient {
            weight: vec![0.0; arrays[i].len()],
            bias: vec![0.0; arrays[i + 1].len()],
        };
        let mut gradient = HeadGradient {
            dense: zeros(1),
            norm: zeros(3),
            decoder: zeros(5),
        };
        let dx = head.backward(F32, saved, &d_losses, &mut gradient);
        let HeadGradient {
            dense,
            norm,
            decoder,
        } = gradient;
        let mut gradients = vec![dx.to_vec()];
        for affine in [dense, norm, decoder] {
            gradients.extend([affine.weight, affine.bias]);
        }
        naive::assert_gradients(&arrays, &gradients, &d_losses, naive_losses);
    }
}
