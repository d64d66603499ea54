//! Speed of the kernels at sizes of real use: `cargo bench`. Items a second are multiply-adds x 2 for matrix products,
//! tokens for blocks, parameters for the optimiser. All threads of the machine (`RAYON_NUM_THREADS` for fewer).
//!
//! Names: `tT` tokens, `hH` hidden, `nN` targets, `vV` vocabulary. 1,024 tokens are 64 pairs of OPPO's mean length.

use cipherpet::kernels::adamw::AdamW;
use cipherpet::kernels::attention::Attention;
use cipherpet::kernels::dropout::Dropout;
use cipherpet::kernels::gemm::{Into, Operand, matmul};
use cipherpet::kernels::layer_norm::{LayerNorm, LayerNormGradient};
use cipherpet::kernels::linear::Linear;
use cipherpet::kernels::{cross_entropy, gelu};
use cipherpet::random::Key;
use divan::Bencher;
use divan::counter::ItemsCount;

const TOKENS: usize = 1024;
const ROWS: usize = 64;

fn main() {
    divan::main();
}

fn values(n: usize, seed: u64) -> Vec<f32> {
    let key = Key::from_seed(seed);
    (0..n as u64)
        .map(|i| (key.bits(i) >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

/// (hidden, intermediate, heads) of the two sizes we care about.
const SMALL: (usize, usize, usize) = (256, 1024, 4);
const BASE: (usize, usize, usize) = (768, 3072, 12);

#[divan::bench_group(sample_count = 20)]
mod gemm {
    use super::*;

    fn product(bencher: Bencher, (m, n, k): (usize, usize, usize), transposed: (bool, bool)) {
        let (a, b) = (values(m * k, 1), values(k * n, 2));
        let operand = |values, transposed| {
            if transposed {
                Operand::Transposed(values)
            } else {
                Operand::Plain(values)
            }
        };
        let mut c = vec![0.0; m * n];
        bencher
            .counter(ItemsCount::new(2 * m * n * k))
            .bench_local(|| {
                let (a, b) = (operand(&a, transposed.0), operand(&b, transposed.1));
                matmul(m, n, k, a, b, &mut c, Into::Overwrite);
            });
    }

    #[divan::bench]
    fn nt_forward_t1024_256_to_1024(bencher: Bencher) {
        product(bencher, (TOKENS, SMALL.1, SMALL.0), (false, true));
    }
    #[divan::bench]
    fn nn_input_gradient_t1024_1024_to_256(bencher: Bencher) {
        product(bencher, (TOKENS, SMALL.0, SMALL.1), (false, false));
    }
    #[divan::bench]
    fn tn_weight_gradient_t1024_1024_by_256(bencher: Bencher) {
        product(bencher, (SMALL.1, SMALL.0, TOKENS), (true, false));
    }
    #[divan::bench]
    fn nt_forward_t1024_768_to_3072(bencher: Bencher) {
        product(bencher, (TOKENS, BASE.1, BASE.0), (false, true));
    }
    #[divan::bench]
    fn nn_input_gradient_t1024_3072_to_768(bencher: Bencher) {
        product(bencher, (TOKENS, BASE.0, BASE.1), (false, false));
    }
    #[divan::bench]
    fn tn_weight_gradient_t1024_3072_by_768(bencher: Bencher) {
        product(bencher, (BASE.1, BASE.0, TOKENS), (true, false));
    }
    #[divan::bench]
    fn nt_decoder_n200_256_to_v7200(bencher: Bencher) {
        product(bencher, (200, 7200, SMALL.0), (false, true));
    }
}

#[divan::bench_group(sample_count = 30)]
mod parts {
    use super::*;

    fn attention(bencher: Bencher, (hidden, _, heads): (usize, usize, usize), backward: bool) {
        let offsets: Vec<usize> = (0..=ROWS).map(|row| row * TOKENS / ROWS).collect();
        let dropout = Dropout::new(0.1, Key::from_seed(5));
        let attention = Attention {
            offsets: &offsets,
            hidden,
            heads,
            dropout,
        };
        let [q, k, v, d_context] = [1, 2, 3, 4].map(|seed| values(TOKENS * hidden, seed));
        let (_, probabilities) = attention.forward(&q, &k, &v);
        let bencher = bencher.counter(ItemsCount::new(TOKENS));
        match backward {
            false => bencher.bench_local(|| attention.forward(&q, &k, &v)),
            true => {
                bencher.bench_local(|| attention.backward(&q, &k, &v, &probabilities, &d_context))
            }
        }
    }

    #[divan::bench]
    fn attention_forward_t1024_h256(bencher: Bencher) {
        attention(bencher, SMALL, false);
    }
    #[divan::bench]
    fn attention_backward_t1024_h256(bencher: Bencher) {
        attention(bencher, SMALL, true);
    }
    #[divan::bench]
    fn attention_forward_t1024_h768(bencher: Bencher) {
        attention(bencher, BASE, false);
    }
    #[divan::bench]
    fn attention_backward_t1024_h768(bencher: Bencher) {
        attention(bencher, BASE, true);
    }

    #[divan::bench]
    fn layer_norm_both_ways_t1024_h256(bencher: Bencher) {
        let (weight, bias) = (values(256, 1), values(256, 2));
        let norm = LayerNorm {
            weight: &weight,
            bias: &bias,
            epsilon: 1e-12,
        };
        let (mut d_weight, mut d_bias) = (vec![0.0; 256], vec![0.0; 256]);
        let x = values(TOKENS * 256, 3);
        bencher
            .counter(ItemsCount::new(TOKENS))
            .with_inputs(|| x.clone())
            .bench_local_values(|x| {
                let (mut y, normalised) = norm.forward(x);
                let gradient = LayerNormGradient {
                    weight: &mut d_weight,
                    bias: &mut d_bias,
                };
                norm.backward(&normalised, &mut y, gradient);
                y
            });
    }

    #[divan::bench]
    fn gelu_both_ways_t1024_i1024(bencher: Bencher) {
        let x = values(TOKENS * 1024, 1);
        let mut y = vec![0.0; x.len()];
        bencher.counter(ItemsCount::new(TOKENS)).bench_local(|| {
            gelu::forward(&x, &mut y);
            gelu::backward(&x, &mut y);
        });
    }

    #[divan::bench]
    fn mlm_decoder_and_loss_n200_h256_v7200(bencher: Bencher) {
        let (weight, bias, x) = (values(7200 * 256, 1), values(7200, 2), values(200 * 256, 3));
        let targets: Vec<u32> = (0..200).map(|i| i * 31 % 7200).collect();
        let decoder = Linear {
            weight: &weight,
            bias: &bias,
        };
        bencher
            .counter(ItemsCount::new(targets.len()))
            .bench_local(|| {
                let mut logits = decoder.forward(&x);
                cross_entropy::forward(&mut logits, &targets)
            });
    }

    #[divan::bench]
    fn adamw_5_million(bencher: Bencher) {
        let n = 5_000_000;
        let [mut weights, mut gradient, mut first] = [1, 2, 3].map(|seed| values(n, seed));
        let mut second = vec![0.5; n];
        let adamw = AdamW {
            learning_rate: 1e-4,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            step: 10,
            gradient_scale: 1.0,
        };
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| adamw.update(&mut weights, &mut gradient, &mut first, &mut second));
    }
}
