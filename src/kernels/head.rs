//! The MLM head: `LN(gelu(W x + b))`, of the width of the embeddings, then the decoder over the whole vocabulary with softmax cross-entropy, or over a
//! few tokens without.
//!
//! In: hidden states at target positions (N × H), and the tokens wanted there or the few. Out: losses (N) or logits
//! (N × tokens), then gradients. Logits of the whole vocabulary exist for the rows of one task at a time; what stays
//! until backward is their gradient, as elements.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::gelu::Gelu;
use super::gemm::weight::PackedWeight;
use super::gemm::{Element, Gemm, Rows, Store, WeightGradient};
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::{Linear, LinearGradient};
use super::{AffineGradient, cross_entropy, denormals, embedding, rows};

/// Rows of one task.
const TASK: usize = 64;

/// Weights of the head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// W, (E × H).
    pub dense: Linear<'a>,
    /// After the GELU.
    pub norm: LayerNorm<'a>,
    /// (V × E), tied to the word embeddings; its bias (V) is free.
    pub decoder: Linear<'a>,
    /// Before the norm.
    pub gelu: Gelu,
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

/// What the head says of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prediction {
    /// The likeliest token.
    pub token: u32,
    /// `-log softmax(logits)[target]`, in nats.
    pub loss: f32,
}

/// What backward needs of the transform of some rows: everything before the decoder.
#[derive(Debug)]
struct Transformed<G: Gemm> {
    x: G::Right,
    before_gelu: Buffer<f32>,
    normalised: Normalised,
}

/// What the backward of a transform leaves of some rows, for the gradients of the weights.
struct LeftTransform<G: Gemm> {
    x: G::Right,
    /// Gradient of the dense output.
    dense: G::Left,
    /// Gradients of b, γ and β, (3 × E).
    vectors: Buffer<f32>,
}

/// What backward needs of some rows and their losses.
#[derive(Debug)]
struct Part<G: Gemm> {
    transformed: Transformed<G>,
    features: Buffer<f32>,
    /// `softmax - onehot`, the gradient of each row's own loss.
    d_logits: Rows<G::Element>,
}

/// What backward leaves of some rows and their losses.
struct LeftPart<G: Gemm> {
    transform: LeftTransform<G>,
    /// Times the gradients of their losses.
    features: G::Right,
    d_logits: G::Left,
    /// Gradient of the decoder's bias, (V).
    decoder_bias: Buffer<f32>,
}

/// What backward needs of the losses.
#[derive(Debug)]
pub struct SavedLosses<G: Gemm>(Vec<Part<G>>);

/// What backward needs of the logits of a few tokens.
#[derive(Debug)]
pub struct SavedTokens<G: Gemm> {
    parts: Vec<Transformed<G>>,
    features: Buffer<f32>,
    tokens: Vec<u32>,
}

impl Head<'_> {
    /// `-log softmax(logits)[target]` of each row, and what backward needs.
    ///
    /// # Panics
    /// Where a target is not below V.
    pub fn losses<G: Gemm>(
        &self,
        gemm: G,
        x: &[f32],
        targets: &[u32],
    ) -> (Vec<f32>, SavedLosses<G>) {
        let width = self.dense.n_in();
        let size = rows::task_size(targets.len(), TASK);
        let mut losses = vec![0.0; targets.len()];
        let parts = losses
            .par_chunks_mut(size)
            .zip(x.par_chunks(size * width))
            .zip(targets.par_chunks(size))
            .with_max_len(1)
            .map(|((losses, x), targets)| self.part(gemm, x, targets, losses))
            .collect();
        (losses, SavedLosses(parts))
    }

    fn part<G: Gemm>(&self, gemm: G, x: &[f32], targets: &[u32], losses: &mut [f32]) -> Part<G> {
        let (features, transformed) = self.transform(gemm, x);
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
            transformed,
            features,
            d_logits,
        }
    }

    /// The likeliest token of each row, the first of equals, and `-log softmax(logits)[target]`; nothing is kept.
    ///
    /// # Panics
    /// Where a target is not below V.
    pub fn predictions<G: Gemm>(&self, gemm: G, x: &[f32], targets: &[u32]) -> Vec<Prediction> {
        self.map_logits(gemm, x, |row, logits| Prediction {
            token: largest(logits),
            loss: cross_entropy::loss_and_gradient(logits, targets[row]),
        })
    }

    /// What `see` makes of the logits of each row over the whole vocabulary, (V), in the order of the rows; nothing is kept.
    /// `see` gets the number of the row, and may overwrite its logits.
    pub fn map_logits<G: Gemm, A: Clone + Default + Send>(
        &self,
        gemm: G,
        x: &[f32],
        see: impl Fn(usize, &mut [f32]) -> A + Sync,
    ) -> Vec<A> {
        let (width, n_vocabulary) = (self.dense.n_in(), self.decoder.n_out());
        let n_rows = x.len() / width;
        let size = rows::task_size(n_rows, TASK);
        let mut seen = vec![A::default(); n_rows];
        seen.par_chunks_mut(size)
            .zip(x.par_chunks(size * width))
            .enumerate()
            .with_max_len(1)
            .for_each(|(task, (seen, x))| {
                let features = self.transform(gemm, x).0;
                let mut logits = Buffer::new(seen.len() * n_vocabulary);
                let inputs = Rows::of(gemm, &features, self.dense.n_out());
                gemm.forward(&inputs, &self.decoder, &mut logits);
                let rows = seen.iter_mut().zip(logits.chunks_exact_mut(n_vocabulary));
                for (row, (seen, logits)) in (task * size..).zip(rows) {
                    *seen = see(row, logits);
                }
            });
        seen
    }

    /// Features, and what backward needs.
    fn transform<G: Gemm>(&self, gemm: G, x: &[f32]) -> (Buffer<f32>, Transformed<G>) {
        let _flushed = denormals::flushed();
        let x = Rows::of(gemm, x, self.dense.n_in());
        let mut before_gelu = Buffer::new(x.n_rows() * self.dense.n_out());
        gemm.forward(&x, &self.dense, &mut before_gelu);
        let mut after_gelu = Buffer::new(before_gelu.len());
        self.gelu.forward(&before_gelu, &mut after_gelu);
        let (features, normalised) = self.norm.forward(after_gelu);
        let transformed = Transformed {
            x: gemm.right(x),
            before_gelu,
            normalised,
        };
        (features, transformed)
    }

    /// From the gradients of the losses (N) to dx (N × H); adds to the gradients of the weights.
    pub fn backward<G: Gemm>(
        &self,
        gemm: G,
        saved: SavedLosses<G>,
        d_losses: &[f32],
        gradient: &mut HeadGradient,
    ) -> Buffer<f32> {
        let width = self.dense.n_in();
        let mut dx = Buffer::new(d_losses.len() * width);
        let size = rows::task_size(d_losses.len(), TASK);
        let left: Vec<_> = dx
            .par_chunks_mut(size * width)
            .zip(d_losses.par_chunks(size))
            .zip(saved.0)
            .with_max_len(1)
            .map(|((dx, d_losses), part)| self.part_backward(gemm, part, d_losses, dx))
            .collect();
        for part in &left {
            rows::add(&mut gradient.decoder.bias, &part.decoder_bias);
            gradient.add_vectors(&part.transform.vectors);
        }
        let inputs = [
            left.iter().map(|left| &left.features).collect(),
            left.iter().map(|left| &left.transform.x).collect(),
        ];
        let decoder = WeightGradient {
            input: 0,
            dy: left.iter().map(|left| &left.d_logits).collect(),
            gradient: &mut gradient.decoder.weight,
        };
        let dense = WeightGradient {
            input: 1,
            dy: left.iter().map(|left| &left.transform.dense).collect(),
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
        let mut decoder_bias = Buffer::zeros(n_vocabulary);
        let mut logits = Buffer::new(n_vocabulary);
        for (row, &d_loss) in d_losses.iter().enumerate() {
            Element::widen(part.d_logits.row(row), &mut logits);
            rows::add_scaled(&mut decoder_bias, d_loss, &logits);
        }
        // d_logits are those of each row's own loss: its factor goes to the other side of each product.
        let mut dy = Buffer::new(d_losses.len() * width);
        gemm.input_gradient(&part.d_logits, &self.decoder, &mut dy, Store::Overwrite);
        let mut features = part.features;
        let pairs = dy
            .chunks_exact_mut(width)
            .zip(features.chunks_exact_mut(width));
        for ((dy, features), &d_loss) in pairs.zip(d_losses) {
            rows::scale(dy, d_loss);
            rows::scale(features, d_loss);
        }
        LeftPart {
            transform: self.transform_backward(gemm, part.transformed, dy, dx),
            features: gemm.right(Rows::of(gemm, &features, width)),
            d_logits: gemm.left(part.d_logits),
            decoder_bias,
        }
    }

    /// From the gradient of features, which it takes over; writes dx.
    fn transform_backward<G: Gemm>(
        &self,
        gemm: G,
        transformed: Transformed<G>,
        mut dy: Buffer<f32>,
        dx: &mut [f32],
    ) -> LeftTransform<G> {
        let _flushed = denormals::flushed();
        let width = self.dense.n_out();
        let mut vectors = Buffer::zeros(3 * width);
        let [d_dense_bias, weight, bias] = rows::parts(&mut vectors, [width; 3]);
        let gradient = LayerNormGradient { weight, bias };
        self.norm
            .backward(&transformed.normalised, &mut dy, gradient);
        self.gelu.backward(&transformed.before_gelu, &mut dy);
        rows::add_column_sums(&dy, d_dense_bias);
        let dense = Rows::of(gemm, &dy, width);
        gemm.input_gradient(&dense, &self.dense, dx, Store::Overwrite);
        LeftTransform {
            x: transformed.x,
            dense: gemm.left(dense),
            vectors,
        }
    }

    /// Logits of a few tokens, (N × tokens), decoded in f32 on any path; and what backward needs. Tokens may repeat.
    ///
    /// # Panics
    /// Where a token is not below V.
    pub fn token_logits<G: Gemm>(
        &self,
        gemm: G,
        x: &[f32],
        tokens: &[u32],
    ) -> (Vec<f32>, SavedTokens<G>) {
        let (n_in, width) = (self.dense.n_in(), self.dense.n_out());
        let n = x.len() / n_in;
        let mut features = Buffer::new(n * width);
        let size = rows::task_size(n, TASK);
        let chunks = features.par_chunks_mut(size * width);
        let chunks = chunks.zip(x.par_chunks(size * n_in));
        let parts = chunks
            .with_max_len(1)
            .map(|(features, x)| {
                let (y, transformed) = self.transform(gemm, x);
                features.copy_from_slice(&y);
                transformed
            })
            .collect();
        let logits = self.with_decoder_of(tokens, |decoder| decoder.forward(&features));
        let saved = SavedTokens {
            parts,
            features,
            tokens: tokens.to_vec(),
        };
        (logits, saved)
    }

    /// From the gradients of the logits (N × tokens) to dx (N × H); adds to the gradients of the weights.
    pub fn token_logits_backward<G: Gemm>(
        &self,
        gemm: G,
        saved: SavedTokens<G>,
        d_logits: &[f32],
        gradient: &mut HeadGradient,
    ) -> Buffer<f32> {
        let (n_in, width) = (self.dense.n_in(), self.dense.n_out());
        let tokens = &saved.tokens[..];
        let mut d_features = Buffer::new(saved.features.len());
        let mut rows_gradient = (vec![0.0; tokens.len() * width], vec![0.0; tokens.len()]);
        let into = LinearGradient {
            weight: &mut rows_gradient.0,
            bias: &mut rows_gradient.1,
        };
        self.with_decoder_of(tokens, |decoder| {
            let (x, dx) = (&saved.features, &mut d_features);
            decoder.backward(x, d_logits, into, dx, Store::Overwrite);
        });
        let AffineGradient { weight, bias } = &mut gradient.decoder;
        embedding::scatter_add(weight, tokens, width, &rows_gradient.0);
        embedding::scatter_add(bias, tokens, 1, &rows_gradient.1);

        let n = d_features.len() / width;
        let mut dx = Buffer::new(n * n_in);
        let size = rows::task_size(n, TASK);
        let left: Vec<_> = dx
            .par_chunks_mut(size * n_in)
            .zip(d_features.par_chunks(size * width))
            .zip(saved.parts)
            .with_max_len(1)
            .map(|((dx, dy), part)| self.transform_backward(gemm, part, Buffer::from_slice(dy), dx))
            .collect();
        for left in &left {
            gradient.add_vectors(&left.vectors);
        }
        if !left.is_empty() {
            let dense = WeightGradient {
                input: 0,
                dy: left.iter().map(|left| &left.dense).collect(),
                gradient: &mut gradient.dense.weight,
            };
            let inputs = [left.iter().map(|left| &left.x).collect()];
            gemm.weight_gradients(&inputs, vec![dense]);
        }
        dx
    }

    /// Shows the decoder's rows for `tokens` to `work`, as a map of their own.
    fn with_decoder_of<A>(&self, tokens: &[u32], work: impl FnOnce(Linear) -> A) -> A {
        let width = self.dense.n_out();
        let mut weight = Buffer::new(tokens.len() * width);
        embedding::select(self.decoder.weight, tokens, width, &mut weight);
        let mut bias = Buffer::new(tokens.len());
        embedding::select(self.decoder.bias, tokens, 1, &mut bias);
        work(Linear {
            weight: &weight,
            bias: &bias,
            packed: &PackedWeight::default(),
        })
    }
}

impl HeadGradient {
    /// Adds gradients of b, γ and β, (3 × E).
    fn add_vectors(&mut self, vectors: &[f32]) {
        let sums = [
            &mut self.dense.bias,
            &mut self.norm.weight,
            &mut self.norm.bias,
        ];
        let width = vectors.len() / sums.len();
        for (sum, vector) in sums.into_iter().zip(vectors.chunks_exact(width)) {
            rows::add(sum, vector);
        }
    }
}

/// The number of the largest of `values`, the first of equals.
fn largest(values: &[f32]) -> u32 {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::portable::F32;
    use crate::kernels::naive;

    const TARGETS: [u32; 3] = [0, 6, 3];

    /// x (3 × 5), then weight and bias of dense (4 × 5), norm, decoder (7 × 4).
    fn arrays() -> Vec<Vec<f32>> {
        let sizes = [15, 20, 4, 4, 4, 28, 7].into_iter().zip(1..);
        sizes.map(|(n, seed)| naive::values(n, seed)).collect()
    }

    fn head<'a>(arrays: &'a [Vec<f32>], packed: &'a PackedWeight) -> Head<'a> {
        let linear = |i: usize| Linear {
            weight: &arrays[i],
            bias: &arrays[i + 1],
            packed,
        };
        Head {
            dense: linear(1),
            norm: linear(3).as_norm(1e-3),
            decoder: linear(5),
            gelu: Gelu::Tanh,
        }
    }

    fn zeros(arrays: &[Vec<f32>]) -> HeadGradient {
        let zeros = |i: usize| AffineGradient {
            weight: vec![0.0; arrays[i].len()],
            bias: vec![0.0; arrays[i + 1].len()],
        };
        HeadGradient {
            dense: zeros(1),
            norm: zeros(3),
            decoder: zeros(5),
        }
    }

    /// In the order of [`arrays`].
    fn in_order(dx: &[f32], gradient: HeadGradient) -> Vec<Vec<f32>> {
        let mut gradients = vec![dx.to_vec()];
        for affine in [gradient.dense, gradient.norm, gradient.decoder] {
            gradients.extend([affine.weight, affine.bias]);
        }
        gradients
    }

    /// (3 × 7).
    fn naive_logits(arrays: &[Vec<f32>]) -> Vec<f32> {
        let inner = naive::gelu_tanh(&naive::linear(&arrays[0], &arrays[1], &arrays[2]));
        let features = naive::layer_norm(&inner, &arrays[3], &arrays[4], 1e-3);
        naive::linear(&features, &arrays[5], &arrays[6])
    }

    #[test]
    fn losses_and_gradients_equal_their_naive_twin() {
        let naive_losses = |arrays: &[Vec<f32>]| -> Vec<f32> {
            let logits = naive_logits(arrays);
            let loss = |(logits, target)| naive::cross_entropy(logits, target) as f32;
            logits.chunks(7).zip(TARGETS).map(loss).collect()
        };
        let (arrays, packed) = (arrays(), PackedWeight::default());
        let head = head(&arrays, &packed);
        let (losses, saved) = head.losses(F32, &arrays[0], &TARGETS);
        naive::assert_close(&losses, &naive_losses(&arrays), 2e-5);

        let d_losses = naive::values(3, 99);
        let mut gradient = zeros(&arrays);
        let dx = head.backward(F32, saved, &d_losses, &mut gradient);
        let gradients = in_order(&dx, gradient);
        naive::assert_gradients(&arrays, &gradients, &d_losses, naive_losses);
    }

    #[test]
    fn predictions_are_the_largest_logits_and_the_losses_of_the_targets() {
        let (arrays, packed) = (arrays(), PackedWeight::default());
        let predictions = head(&arrays, &packed).predictions(F32, &arrays[0], &TARGETS);
        let (losses, _) = head(&arrays, &packed).losses(F32, &arrays[0], &TARGETS);
        let logits = naive_logits(&arrays);
        for ((row, prediction), loss) in logits.chunks(7).zip(&predictions).zip(losses) {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(row[prediction.token as usize], most);
            assert_eq!(prediction.loss, loss);
        }
        assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn logits_of_a_few_tokens_and_gradients_equal_their_naive_twin() {
        for tokens in [&[5][..], &[6, 0], &[2, 2, 4]] {
            let naive_few = |arrays: &[Vec<f32>]| -> Vec<f32> {
                let logits = naive_logits(arrays);
                let of_row =
                    |row: &[f32]| tokens.iter().map(|&token| row[token as usize]).collect();
                logits
                    .chunks(7)
                    .flat_map(|row| -> Vec<f32> { of_row(row) })
                    .collect()
            };
            let (arrays, packed) = (arrays(), PackedWeight::default());
            let head = head(&arrays, &packed);
            let (logits, saved) = head.token_logits(F32, &arrays[0], tokens);
            naive::assert_close(&logits, &naive_few(&arrays), 2e-5);

            let d_logits = naive::values(logits.len(), 99);
            let mut gradient = zeros(&arrays);
            let dx = head.token_logits_backward(F32, saved, &d_logits, &mut gradient);
            let gradients = in_order(&dx, gradient);
            naive::assert_gradients(&arrays, &gradients, &d_logits, naive_few);
        }
    }
}
