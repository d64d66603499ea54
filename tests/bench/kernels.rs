//! Speed of the kernels at sizes of real use: `cargo bench`. Items a second are multiply-adds x 2 for matrix products,
//! tokens for blocks, parameters for the optimiser, rows for CoSENT. All threads of the machine (`RAYON_NUM_THREADS` for fewer).
//!
//! Names: `tT` tokens, `hH` hidden, `nN` targets, `vV` vocabulary. 1,024 tokens are 64 pairs of OPPO's mean length.

use cipherpet::checkpoint::{BertConfig, Heads, Positions};
use cipherpet::data::PackedBatch;
use cipherpet::kernels::adamw::AdamW;
use cipherpet::kernels::attention::{Attention, Qkv};
use cipherpet::kernels::buffer::Buffer;
use cipherpet::kernels::dropout::Dropout;
use cipherpet::kernels::gelu::Gelu;
use cipherpet::kernels::gemm::bf16::{Bf16, Kernel};
use cipherpet::kernels::gemm::portable::F32;
use cipherpet::kernels::gemm::weight::PackedWeight;
use cipherpet::kernels::gemm::{Gemm, Rows, Store, WeightGradient};
use cipherpet::kernels::head::{Head, HeadGradient};
use cipherpet::kernels::layer_norm::{LayerNorm, LayerNormGradient};
use cipherpet::kernels::linear::Linear;
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::kernels::relative::{Relative, RelativeTable};
use cipherpet::kernels::{AffineGradient, rows};
use cipherpet::model::{Bert, Pass, Regularisation};
use cipherpet::objective::cosent::value_and_gradient;
use cipherpet::random::Key;
use dfdx::prelude::{Backward, MeanTo};
use divan::Bencher;
use divan::counter::ItemsCount;
use rayon::prelude::*;

const TOKENS: usize = 1024;
const ROWS: usize = 64;
const TARGETS: usize = 200;
const VOCABULARY: usize = 7200;

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

/// The paths, by name. One that this CPU lacks is left out of its benchmarks.
const PATHS: [&str; 3] = ["f32", "bf16 avx512", "bf16 amx"];

/// (tokens, in, out).
const SHAPES: [(usize, usize, usize); 7] = [
    (TOKENS, 256, 256),
    (TOKENS, 256, 1024),
    (TOKENS, 1024, 256),
    (TOKENS, 768, 768),
    (TOKENS, 768, 3072),
    (TOKENS, 3072, 768),
    (TARGETS, 256, VOCABULARY),
];

/// One affine map, in tasks as the encoder makes them.
struct Map<G: Gemm> {
    gemm: G,
    weight: Vec<f32>,
    bias: Vec<f32>,
    packed: PackedWeight,
    x: Vec<Rows<G::Element>>,
    dy: Vec<Rows<G::Element>>,
    right: Vec<G::Right>,
    left: Vec<G::Left>,
}

impl<G: Gemm> Map<G> {
    fn new(gemm: G, (tokens, n_in, n_out): (usize, usize, usize)) -> Self {
        let weight = values(n_in * n_out, 1);
        let mut packed = PackedWeight::default();
        packed.pack(&weight, n_out, n_in);
        let size = tokens.div_ceil(rows::n_tasks(tokens, G::GROUP));
        let tasks = |width: usize, seed| -> Vec<Rows<G::Element>> {
            let all = values(tokens * width, seed);
            let tasks = all.chunks(size * width);
            tasks.map(|task| Rows::of(gemm, task, width)).collect()
        };
        let (right, left) = (tasks(n_in, 3).into_iter(), tasks(n_out, 4).into_iter());
        Self {
            gemm,
            weight,
            bias: values(n_out, 2),
            packed,
            x: tasks(n_in, 3),
            dy: tasks(n_out, 4),
            right: right.map(|rows| gemm.right(rows)).collect(),
            left: left.map(|rows| gemm.left(rows)).collect(),
        }
    }

    fn linear(&self) -> Linear<'_> {
        Linear {
            weight: &self.weight,
            bias: &self.bias,
            packed: &self.packed,
        }
    }

    fn forward(&self) {
        self.x.par_iter().for_each(|x| {
            let mut y = Buffer::new(x.n_rows() * self.bias.len());
            self.gemm.forward(x, &self.linear(), &mut y);
        });
    }

    fn input_gradient(&self) {
        self.dy.par_iter().zip(&self.x).for_each(|(dy, x)| {
            let mut dx = Buffer::new(x.n_rows() * x.width());
            self.gemm
                .input_gradient(dy, &self.linear(), &mut dx, Store::Overwrite);
        });
    }

    fn weight_gradient(&self, gradient: &mut [f32]) {
        let product = WeightGradient {
            input: 0,
            dy: self.left.iter().collect(),
            gradient,
        };
        self.gemm
            .weight_gradients(&[self.right.iter().collect()], vec![product]);
    }
}

/// What one core's multipliers can do: sums in registers, nothing loaded. The roof over the products below.
#[cfg(target_arch = "x86_64")]
#[divan::bench_group(sample_count = 10)]
mod peak {
    use super::*;
    use std::arch::x86_64::*;

    const SUMS: usize = 24;
    const TIMES: usize = 100_000;

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn dot_products() -> [__m512; SUMS] {
        // SAFETY: the two types are 512 bits of anything.
        let ones: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(0x3f80_3f80)) };
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..TIMES {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, ones, ones);
            }
        }
        sums
    }

    #[target_feature(enable = "avx512f")]
    fn fused_multiply_adds() -> [__m512; SUMS] {
        let (x, y) = (_mm512_set1_ps(1.000_000_1), _mm512_set1_ps(0.999));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..TIMES {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, x, y);
            }
        }
        sums
    }

    #[divan::bench]
    fn vdpbf16ps_one_thread(bencher: Bencher) {
        if Bf16::new(Kernel::Avx512).is_some() {
            // SAFETY: the CPU has the instructions.
            bencher
                .counter(ItemsCount::new(64 * SUMS * TIMES))
                .bench_local(|| unsafe { dot_products() });
        }
    }
    #[divan::bench]
    fn f32_avx512_one_thread(bencher: Bencher) {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the instructions.
            bencher
                .counter(ItemsCount::new(32 * SUMS * TIMES))
                .bench_local(|| unsafe { fused_multiply_adds() });
        }
    }
}

/// Forward (NT), gradient of the input (NN), gradient of the weight (TN).
#[divan::bench_group(sample_count = 20)]
mod gemm {
    use super::*;

    fn product<G: Gemm>(bencher: Bencher, gemm: G, shape: (usize, usize, usize), which: &str) {
        let map = Map::new(gemm, shape);
        let (tokens, n_in, n_out) = shape;
        let mut gradient = vec![0.0; n_in * n_out];
        bencher
            .counter(ItemsCount::new(2 * tokens * n_in * n_out))
            .bench_local(|| match which {
                "forward" => map.forward(),
                "input" => map.input_gradient(),
                _ => map.weight_gradient(&mut gradient),
            });
    }

    fn on_path(bencher: Bencher, path: &str, shape: (usize, usize, usize), which: &str) {
        let kernel = match path {
            "f32" => return product(bencher, F32, shape, which),
            "bf16 avx512" => Kernel::Avx512,
            _ => Kernel::Amx,
        };
        if let Some(gemm) = Bf16::new(kernel) {
            product(bencher, gemm, shape, which);
        }
    }

    fn cases() -> impl Iterator<Item = String> {
        let names = |path: &str| {
            SHAPES.map(|(tokens, n_in, n_out)| format!("{path} t{tokens} {n_in} to {n_out}"))
        };
        PATHS.into_iter().flat_map(names)
    }

    fn parsed(case: &str) -> (&str, (usize, usize, usize)) {
        let number = cases().position(|other| other == case).expect("a case");
        (PATHS[number / SHAPES.len()], SHAPES[number % SHAPES.len()])
    }

    #[divan::bench(args = cases())]
    fn nt_forward(bencher: Bencher, case: &str) {
        let (path, shape) = parsed(case);
        on_path(bencher, path, shape, "forward");
    }
    #[divan::bench(args = cases())]
    fn nn_input_gradient(bencher: Bencher, case: &str) {
        let (path, shape) = parsed(case);
        on_path(bencher, path, shape, "input");
    }
    #[divan::bench(args = cases())]
    fn tn_weight_gradient(bencher: Bencher, case: &str) {
        let (path, shape) = parsed(case);
        on_path(bencher, path, shape, "weight");
    }
}

#[divan::bench_group(sample_count = 30)]
mod parts {
    use super::*;

    fn attention(
        bencher: Bencher,
        (hidden, _, heads): (usize, usize, usize),
        backward: bool,
        is_relative: bool,
    ) {
        let offsets: Vec<usize> = (0..=ROWS).map(|row| row * TOKENS / ROWS).collect();
        let positions: Vec<u32> = (0..TOKENS as u32)
            .map(|token| token % (TOKENS / ROWS) as u32)
            .collect();
        let size = hidden / heads;
        let table = RelativeTable::new(values(129 * size, 6), size);
        let relative = Relative {
            table: &table,
            keys: &positions,
            queries: &positions,
        };
        let attention = Attention {
            offsets: &offsets,
            query_offsets: &offsets,
            visible: None,
            relative: is_relative.then_some(relative),
            first_row: 0,
            hidden,
            heads,
            dropout: Dropout::new(0.1, Key::from_seed(5)),
        };
        let [q, k, v, d_context] = [1, 2, 3, 4].map(|seed| values(TOKENS * hidden, seed));
        let qkv = Qkv {
            query: Buffer::from_slice(&q),
            key: Buffer::from_slice(&k),
            value: Buffer::from_slice(&v),
        };
        let mut context = vec![0.0; TOKENS * hidden];
        let probabilities = attention.forward(&qkv, &mut context);
        let bencher = bencher.counter(ItemsCount::new(TOKENS));
        match backward {
            false => bencher.bench_local(|| attention.forward(&qkv, &mut context)),
            true => bencher.bench_local(|| attention.backward(&qkv, &probabilities, &d_context)),
        }
    }

    #[divan::bench]
    fn attention_forward_t1024_h256_one_thread(bencher: Bencher) {
        attention(bencher, SMALL, false, false);
    }
    #[divan::bench]
    fn attention_backward_t1024_h256_one_thread(bencher: Bencher) {
        attention(bencher, SMALL, true, false);
    }
    #[divan::bench]
    fn relative_attention_forward_t1024_h256_one_thread(bencher: Bencher) {
        attention(bencher, SMALL, false, true);
    }
    #[divan::bench]
    fn relative_attention_backward_t1024_h256_one_thread(bencher: Bencher) {
        attention(bencher, SMALL, true, true);
    }
    #[divan::bench]
    fn attention_forward_t1024_h768_one_thread(bencher: Bencher) {
        attention(bencher, BASE, false, false);
    }
    #[divan::bench]
    fn attention_backward_t1024_h768_one_thread(bencher: Bencher) {
        attention(bencher, BASE, true, false);
    }

    #[divan::bench]
    fn layer_norm_both_ways_t1024_h256_one_thread(bencher: Bencher) {
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
            .with_inputs(|| Buffer::from_slice(&x))
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
    fn gelu_both_ways_t1024_i1024_one_thread(bencher: Bencher) {
        let x = values(TOKENS * 1024, 1);
        let mut y = vec![0.0; x.len()];
        bencher.counter(ItemsCount::new(TOKENS)).bench_local(|| {
            Gelu::Erf.forward(&x, &mut y);
            Gelu::Erf.backward(&x, &mut y);
        });
    }

    fn head<G: Gemm>(bencher: Bencher, gemm: G) {
        let hidden = SMALL.0;
        let (square, norm) = (values(hidden * hidden, 1), values(hidden, 2));
        let (decoder, bias) = (values(VOCABULARY * hidden, 3), values(VOCABULARY, 4));
        let [mut packed_square, mut packed_decoder] = <[PackedWeight; 2]>::default();
        packed_square.pack(&square, hidden, hidden);
        packed_decoder.pack(&decoder, VOCABULARY, hidden);
        let head = Head {
            dense: Linear {
                weight: &square,
                bias: &norm,
                packed: &packed_square,
            },
            norm: LayerNorm {
                weight: &norm,
                bias: &norm,
                epsilon: 1e-12,
            },
            decoder: Linear {
                weight: &decoder,
                bias: &bias,
                packed: &packed_decoder,
            },
            gelu: Gelu::Erf,
        };
        let affine = |n: usize, n_bias: usize| AffineGradient {
            weight: vec![0.0; n],
            bias: vec![0.0; n_bias],
        };
        let mut gradient = HeadGradient {
            dense: affine(hidden * hidden, hidden),
            norm: affine(hidden, hidden),
            decoder: affine(VOCABULARY * hidden, VOCABULARY),
        };
        let x = values(TARGETS * hidden, 5);
        let targets: Vec<u32> = (0..TARGETS as u32)
            .map(|i| i * 31 % VOCABULARY as u32)
            .collect();
        let d_losses = vec![1.0 / TARGETS as f32; TARGETS];
        bencher.counter(ItemsCount::new(TARGETS)).bench_local(|| {
            let (_, saved) = head.losses(gemm, &x, &targets);
            head.backward(gemm, saved, &d_losses, &mut gradient)
        });
    }

    #[divan::bench(args = ["f32", "bf16"])]
    fn mlm_head_both_ways_n200_h256_v7200(bencher: Bencher, precision: &str) {
        match (precision, Path::resolve(Precision::Bf16)) {
            ("f32", _) => head(bencher, F32),
            (_, Path::Bf16(gemm)) => head(bencher, gemm),
            _ => {}
        }
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

/// A whole network of two layers, forward and backward: embeddings, a layer at all tokens, the last one and the MLM head at
/// 200 positions.
#[divan::bench_group(sample_count = 20)]
mod layers {
    use super::*;

    const TWO_LAYERS: (usize, Positions) = (2, Positions::Absolute);

    fn both_ways(bencher: Bencher, size: (usize, usize, usize), precision: Precision) {
        with_lengths(bencher, size, precision, TWO_LAYERS, &[TOKENS / ROWS; ROWS]);
    }

    fn with_lengths(
        bencher: Bencher,
        size: (usize, usize, usize),
        precision: Precision,
        (layers, positions): (usize, Positions),
        lengths: &[usize],
    ) {
        let (hidden, intermediate, heads) = size;
        let config = BertConfig {
            vocab_size: VOCABULARY,
            hidden_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            intermediate_size: intermediate,
            max_position_embeddings: 64,
            positions,
            ..BertConfig::default()
        };
        let only_mlm = Heads::MLM;
        let path = Path::resolve(precision);
        let model = Bert::initialise(config, only_mlm, path, Key::from_seed(1)).expect("a model");
        let mut batch = PackedBatch::default();
        for (row, &length) in (0..).zip(lengths) {
            let ids: Vec<u32> = (0..length as u32).map(|i| row * 97 + i * 13 + 7).collect();
            batch.push(&ids, &vec![0; length]);
        }
        let wanted: Vec<u32> = (0..TARGETS)
            .map(|i| (i * TOKENS / TARGETS) as u32)
            .collect();
        let regularisation = Regularisation {
            hidden: 0.1,
            attention: 0.1,
            key: Key::from_seed(2),
        };
        let pass = Pass {
            batch: &batch,
            wanted: &wanted,
            regularisation: Some(&regularisation),
        };
        bencher.counter(ItemsCount::new(TOKENS)).bench_local(|| {
            let states = model.encode(&pass, model.tape());
            let losses = model.mlm_losses(states, &wanted);
            losses.mean().backward()
        });
    }

    #[divan::bench]
    fn f32_t1024_h256(bencher: Bencher) {
        both_ways(bencher, SMALL, Precision::F32);
    }
    #[divan::bench]
    fn auto_t1024_h256(bencher: Bencher) {
        both_ways(bencher, SMALL, Precision::Auto);
    }
    /// Rows of 4 to 28 tokens in the place of 16 each: what batches of like lengths could gain.
    #[divan::bench]
    fn auto_t1024_h256_mixed(bencher: Bencher) {
        let lengths: Vec<usize> = (0..ROWS).map(|row| 4 + 8 * (row % 4)).collect();
        assert_eq!(lengths.iter().sum::<usize>(), TOKENS);
        with_lengths(bencher, SMALL, Precision::Auto, TWO_LAYERS, &lengths);
    }
    /// Four layers that know positions in another way, with rows of so many tokens.
    #[divan::bench(args = ["bert 16", "nezha 16", "roformer 16", "bert 64", "nezha 64", "roformer 64"])]
    fn auto_t1024_h256_four_layers(bencher: Bencher, case: &str) {
        let (family, length) = case.split_once(' ').expect("a family and a length");
        let length: usize = length.parse().expect("a number");
        let positions = match family {
            "nezha" => Positions::Relative { max_distance: 64 },
            "roformer" => Positions::Rotary,
            _ => Positions::Absolute,
        };
        let lengths = vec![length; TOKENS / length];
        with_lengths(bencher, SMALL, Precision::Auto, (4, positions), &lengths);
    }
    #[divan::bench]
    fn f32_t1024_h768(bencher: Bencher) {
        both_ways(bencher, BASE, Precision::F32);
    }
    #[divan::bench]
    fn auto_t1024_h768(bencher: Bencher) {
        both_ways(bencher, BASE, Precision::Auto);
    }
}

/// Value and gradient of a batch of B rows with six grades; bar: 5 ms for 4,096 rows.
#[divan::bench(args = [64, 4096])]
fn cosent(bencher: Bencher, rows: usize) {
    let scores = values(rows, 1);
    let labels: Vec<f32> = (values(rows, 2).iter())
        .map(|x| (x * 3.0).floor())
        .collect();
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| value_and_gradient(&scores, &labels));
}
