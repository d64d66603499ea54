//! Every path that this CPU has against products in f64, at sizes around the tiles of all kernels.

use super::bf16::{Bf16, Kernel};
use super::portable::F32;
use super::weight::PackedWeight;
use super::*;
use crate::kernels::naive;

/// (rows, out, in): 0, 1, primes, and one beside the blocks of 4, 6, 16, 32, 48 and 64.
const SIZES: [(usize, usize, usize); 15] = [
    (1, 75, 9),
    (0, 3, 2),
    (1, 1, 1),
    (2, 3, 5),
    (7, 64, 16),
    (6, 65, 31),
    (13, 63, 33),
    (16, 17, 64),
    (17, 16, 65),
    (31, 129, 7),
    (33, 127, 32),
    (48, 49, 257),
    (61, 97, 101),
    (80, 192, 96),
    (97, 33, 15),
];

/// Rounded inputs, and the largest error of a sum of k products of numbers within 1: f32 sums in any order.
fn close(found: &[f32], expected: &[f32], k: usize) {
    let limit = 1e-6 * (k + 1) as f32;
    assert_eq!(found.len(), expected.len());
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!(
            (x - y).abs() <= limit,
            "element {i}: found {x}, expected {y}"
        );
    }
}

/// Values as the path sees them: exact products then, so the bound is that of f32 sums, not of rounding to bf16.
fn rounded<E: Element>(values: Vec<f32>) -> Vec<f32> {
    let mut elements = vec![E::default(); values.len()];
    E::round(&values, &mut elements);
    let mut values = values;
    E::widen(&elements, &mut values);
    values
}

/// What `work` makes of `output`, if it leaves alone what lies around it.
fn within(output: &[f32], around: usize, work: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let inside = around..around + output.len();
    let mut memory = vec![7.0; output.len() + 2 * around];
    memory[inside.clone()].copy_from_slice(output);
    work(&mut memory[inside.clone()]);
    let outside = memory[..inside.start].iter().chain(&memory[inside.end..]);
    assert!(outside.into_iter().all(|&x| x == 7.0), "written outside");
    memory[inside].to_vec()
}

fn agrees<G: Gemm>(gemm: G, sizes: &[(usize, usize, usize)]) {
    for &(rows, n_out, n_in) in sizes {
        let weight = rounded::<G::Element>(naive::values(n_out * n_in, 1));
        let bias = naive::values(n_out, 2);
        let x = rounded::<G::Element>(naive::values(rows * n_in, 3));
        let dy = rounded::<G::Element>(naive::values(rows * n_out, 4));
        let mut packed = PackedWeight::default();
        // The f32 path never reads a packed weight, and a CPU without AVX-512 has nothing to pack with.
        if size_of::<G::Element>() < size_of::<f32>() {
            packed.pack(&weight, n_out, n_in);
        }
        let linear = Linear {
            weight: &weight,
            bias: &bias,
            packed: &packed,
        };
        let (x_rows, dy_rows) = (Rows::of(gemm, &x, n_in), Rows::of(gemm, &dy, n_out));

        // Around each output as much as 32 rows, the most of any block.
        let y = vec![f32::NAN; rows * n_out];
        let y = within(&y, 32 * n_out, |y| gemm.forward(&x_rows, &linear, y));
        close(&y, &naive::linear(&x, &weight, &bias), n_in);

        let expected = naive::matmul(&dy, &weight, rows, n_in, n_out);
        let input_gradient = |dx: &[f32], into: Store| {
            let work = |dx: &mut [f32]| gemm.input_gradient(&dy_rows, &linear, dx, into);
            within(dx, 32 * n_in, work)
        };
        let dx = input_gradient(&vec![f32::NAN; rows * n_in], Store::Overwrite);
        close(&dx, &expected, n_out);
        let dx = input_gradient(&dx, Store::Add);
        let twice: Vec<f32> = expected.iter().map(|x| 2.0 * x).collect();
        close(&dx, &twice, 2 * n_out);

        // The tokens in two parts, the first of an odd number of rows where there are three or more.
        let first = (rows / 2) | usize::from(rows > 2);
        let part = |values: &[f32], width: usize| {
            let (head, tail) = values.split_at(first * width);
            [head, tail].map(|part| Rows::of(gemm, part, width))
        };
        let x_parts = part(&x, n_in).map(|rows| gemm.right(rows));
        let dy_parts = part(&dy, n_out).map(|rows| gemm.left(rows));
        let gradient = within(&vec![1.0; n_out * n_in], 32 * n_in, |gradient| {
            let product: WeightGradient<G> = WeightGradient {
                input: 0,
                dy: dy_parts.iter().collect(),
                gradient,
            };
            gemm.weight_gradients(&[x_parts.iter().collect()], vec![product]);
        });
        let mut expected =
            naive::matmul(&naive::transpose(&dy, rows, n_out), &x, n_out, n_in, rows);
        expected.iter_mut().for_each(|g| *g += 1.0);
        close(&gradient, &expected, rows + 1);
    }
}

#[test]
fn f32_equals_the_naive_products() {
    agrees(F32, &SIZES);
}

#[test]
fn bf16_on_avx512_equals_the_naive_products_of_rounded_values() {
    match Bf16::new(Kernel::Avx512) {
        Some(gemm) => agrees(gemm, &SIZES),
        None => crate::progress::skipped("no AVX-512 BF16 on this CPU"),
    }
}

/// The AMX kernel on this CPU, or under the emulator.
fn amx() -> Option<Bf16> {
    let gemm = Bf16::new(Kernel::Amx);
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    let gemm = gemm.or_else(|| {
        let runs = super::amx::emulator::install_where_possible();
        runs.then(|| Bf16::unchecked(Kernel::Amx))
    });
    if gemm.is_none() {
        crate::progress::skipped(
            "neither AMX nor AVX-512 on this CPU, or a system other than Linux",
        );
    }
    gemm
}

#[test]
fn bf16_on_amx_equals_the_naive_products_of_rounded_values() {
    if let Some(gemm) = amx() {
        agrees(gemm, &SIZES);
    }
}

/// Rows around both kinds of block, and more columns and a longer inner dimension than one pass of the AMX kernel takes.
#[test]
fn bf16_on_amx_equals_the_naive_products_around_its_own_limits() {
    let Some(gemm) = amx() else { return };
    let rows = [1, 2, 15, 16, 17, 18, 31, 32, 33, 49, 64, 65, 81];
    agrees(gemm, &rows.map(|rows| (rows, 70, 33)));
    agrees(gemm, &[(33, 31, 1025), (40, 545, 20), (3, 513, 64)]);
    // As inner dimension of the weight gradient, the tokens go beyond one pass.
    agrees(gemm, &[(1031, 35, 7)]);
}

/// 48 rows are one block of 32 and one of 16; 64 columns and 70 inner elements are one panel and 3 steps.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn the_emulator_sees_every_product_and_the_release() {
    use super::amx::emulator;
    if Bf16::new(Kernel::Amx).is_some() || !emulator::install_where_possible() {
        crate::progress::skipped("AMX on this CPU, or no AVX-512");
        return;
    }
    let gemm = Bf16::unchecked(Kernel::Amx);
    let (rows, n_out, n_in) = (48, 64, 70);
    let (weight, bias) = (naive::values(n_out * n_in, 1), naive::values(n_out, 2));
    let mut packed = PackedWeight::default();
    packed.pack(&weight, n_out, n_in);
    let linear = Linear {
        weight: &weight,
        bias: &bias,
        packed: &packed,
    };
    let x = Rows::of(gemm, &naive::values(rows * n_in, 3), n_in);
    let before = emulator::n_products();
    gemm.forward(&x, &linear, &mut vec![0.0; rows * n_out]);
    assert_eq!(emulator::n_products() - before, 3 * 4 * 3); // tiles of rows, of columns, steps
    assert!(emulator::is_released());
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let avx512 = Bf16::new(Kernel::Avx512);
    if avx512.is_none() {
        crate::progress::skipped("in part: no AVX-512 BF16 on this CPU");
    }
    avx512.into_iter().chain(amx()).for_each(rows_are_apart);
}

fn rows_are_apart(gemm: Bf16) {
    let (n_out, n_in) = (70, 50);
    let (weight, bias) = (naive::values(n_out * n_in, 1), naive::values(n_out, 2));
    let mut packed = PackedWeight::default();
    packed.pack(&weight, n_out, n_in);
    let linear = Linear {
        weight: &weight,
        bias: &bias,
        packed: &packed,
    };
    let x = naive::values(17 * n_in, 3);
    let mut together = vec![0.0; 17 * n_out];
    gemm.forward(&Rows::of(gemm, &x, n_in), &linear, &mut together);
    for (x, expected) in x.chunks(n_in).zip(together.chunks(n_out)) {
        let mut alone = vec![0.0; n_out];
        gemm.forward(&Rows::of(gemm, x, n_in), &linear, &mut alone);
        assert_eq!(alone, expected);
    }
}

#[test]
fn bf16_rounds_to_nearest_even_and_keeps_what_is_no_number() {
    use super::layout::bf16;
    if Bf16::new(Kernel::Avx512).is_none() {
        crate::progress::skipped("no AVX-512 BF16 on this CPU");
        return;
    }
    let values = [
        1.0,
        1.0 + 1.0 / 256.0,        // halfway: to the even 1
        1.0 + 3.0 / 256.0,        // halfway: to the even 1 + 4/256
        1.0 + 1.0 / 256.0 + 1e-6, // above halfway
        -2.5e-3,
        f32::INFINITY,
        f32::MAX,
        f32::NAN,
    ];
    let mut found = [bf16::ZERO; 8];
    bf16::round(&values, &mut found);
    for (found, value) in found.iter().zip(values) {
        let expected = bf16::from_f32(value);
        assert!(
            *found == expected || (found.is_nan() && expected.is_nan()),
            "{value}"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn panels_hold_pairs_of_neighbours_and_zeros_beyond() {
    use super::layout::{PANEL, bf16};
    if Bf16::new(Kernel::Avx512).is_none() {
        crate::progress::skipped("no AVX-512 BF16 on this CPU");
        return;
    }
    let sizes = [(1, 1), (32, 16), (31, 17), (256, 64), (70, 63), (33, 40)];
    for ((k, columns), past_caches) in sizes.into_iter().zip([true, false].into_iter().cycle()) {
        let weight = naive::values(k * columns, 1); // W, (k × columns)
        let transposed = naive::transpose(&weight, k, columns);
        let size = k.div_ceil(2).next_multiple_of(16) * PANEL;
        let mut plain = Buffer::from_slice(&vec![7; size]);
        let mut turned = Buffer::from_slice(&vec![9; size]);
        avx512::pack(&weight, columns, 0..columns, &mut plain, past_caches);
        avx512::pack_transposed(&transposed, k, &mut turned, past_caches);
        let element = |row: usize, column: usize| match row < k && column < columns {
            true => u32::from(bf16::from_f32(weight[row * columns + column]).to_bits()),
            false => 0,
        };
        for (i, (&plain, &turned)) in plain.iter().zip(turned.iter()).enumerate() {
            let (pair, column) = (i / PANEL, i % PANEL);
            let expected = element(2 * pair, column) | element(2 * pair + 1, column) << 16;
            assert_eq!(
                (plain, turned),
                (expected, expected),
                "pair {pair} of column {column}"
            );
        }
    }
}
