//! How work is split: fixed chunks of rows, one slice a packed row, and deterministic column sums.

use multiversion::multiversion;
use rayon::prelude::*;

use super::vector;

/// Rows of one parallel chunk. Fixed, so that no sum depends on the number of threads.
pub const CHUNK: usize = 64;

/// Cuts `values` (T × `width`) into one mutable slice a packed row; `offsets` as in a packed batch.
///
/// # Panics
/// Where `offsets` do not cover `values`.
pub fn split<'a>(mut values: &'a mut [f32], offsets: &[usize], width: usize) -> Vec<&'a mut [f32]> {
    let mut slices = Vec::with_capacity(offsets.len().saturating_sub(1));
    for bounds in offsets.windows(2) {
        let (row, rest) = values.split_at_mut((bounds[1] - bounds[0]) * width);
        slices.push(row);
        values = rest;
    }
    assert!(values.is_empty(), "offsets must cover all values");
    slices
}

/// `out[j] += sum over rows of values[i][j]`, where `values` is (rows × `out.len()`).
pub fn add_column_sums(values: &[f32], out: &mut [f32]) {
    let width = out.len();
    add_chunk_sums(values.len() / width.max(1), out, |first, last, partial| {
        add_rows(&values[first * width..last * width], partial);
    });
}

#[multiversion(targets = "simd")]
fn add_rows(values: &[f32], sums: &mut [f32]) {
    for row in values.chunks_exact(sums.len()) {
        vector::add(sums, row);
    }
}

/// `y += x`, in parallel.
pub fn add(y: &mut [f32], x: &[f32]) {
    y.par_chunks_mut(CHUNK * CHUNK)
        .zip(x.par_chunks(CHUNK * CHUNK))
        .for_each(|(y, x)| add_chunk(y, x));
}

#[multiversion(targets = "simd")]
fn add_chunk(y: &mut [f32], x: &[f32]) {
    vector::add(y, x);
}

/// `out += the sum of what `work(first, last, partial)` adds into zeroed partials`, over fixed chunks of
/// `n_rows` rows. The chunks run in parallel, their results are added in order.
pub fn add_chunk_sums(
    n_rows: usize,
    out: &mut [f32],
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let n_chunks = n_rows.div_ceil(CHUNK);
    let partials: Vec<Vec<f32>> = (0..n_chunks)
        .into_par_iter()
        .map(|chunk| {
            let mut partial = vec![0.0; out.len()];
            work(
                chunk * CHUNK,
                ((chunk + 1) * CHUNK).min(n_rows),
                &mut partial,
            );
            partial
        })
        .collect();
    for partial in &partials {
        add_chunk(out, partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_sums_over_chunk_borders() {
        for n_rows in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let values: Vec<f32> = (0..n_rows * 3).map(|i| i as f32).collect();
            let mut out = [1.0, 1.0, 1.0];
            add_column_sums(&values, &mut out);
            for (j, &sum) in out.iter().enumerate() {
                let exact: usize = (0..n_rows).map(|i| i * 3 + j).sum();
                assert_eq!(sum, 1.0 + exact as f32);
            }
        }
    }

    #[test]
    fn split_gives_each_row_its_own_slice() {
        let mut values = [0.0; 12];
        let slices = split(&mut values, &[0, 1, 1, 6], 2);
        assert_eq!(
            slices.iter().map(|s| s.len()).collect::<Vec<_>>(),
            [2, 0, 10]
        );
    }
}
