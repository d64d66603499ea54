//! Arithmetic on whole rows: sums, column sums, and how a batch is split into tasks.

use multiversion::multiversion;

use super::vector;

/// Values of one parallel chunk where work is not by rows. Fixed, so that no sum depends on the number of threads.
pub const CHUNK: usize = 4096;

/// Tasks come in multiples of this, for the threads that machines have.
const TASKS: usize = 4;

/// `out[j] += sum over rows of values[i][j]`, where `values` is (rows × `out.len()`).
#[multiversion(targets = "simd")]
pub fn add_column_sums(values: &[f32], out: &mut [f32]) {
    for row in values.chunks_exact(out.len()) {
        vector::add(out, row);
    }
}

/// `y += x`.
#[multiversion(targets = "simd")]
pub fn add(y: &mut [f32], x: &[f32]) {
    vector::add(y, x);
}

/// `y += scale * x`.
#[multiversion(targets = "simd")]
pub fn add_scaled(y: &mut [f32], scale: f32, x: &[f32]) {
    vector::add_scaled(y, scale, x);
}

/// `y *= scale`.
#[multiversion(targets = "simd")]
pub fn scale(y: &mut [f32], scale: f32) {
    for y in y {
        *y *= scale;
    }
}

/// Cuts a slice into parts of these sizes.
///
/// # Panics
/// Where it is too short.
pub fn parts<const N: usize>(mut values: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(size);
        values = rest;
        part
    })
}

/// Number of tasks for `n` tokens or rows at about `size` each: by the sizes alone.
pub fn n_tasks(n: usize, size: usize) -> usize {
    let tasks = n.div_ceil(size);
    if tasks < TASKS {
        tasks.next_power_of_two().min(n)
    } else {
        tasks.next_multiple_of(TASKS)
    }
}

/// Rows of one task of `n`, of about `size` each, at least 1: by the sizes alone.
pub fn task_size(n: usize, size: usize) -> usize {
    n.div_ceil(n_tasks(n, size).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_sums_add_to_what_is_there() {
        for n_rows in [0, 1, 5] {
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
    fn tasks_share_out_among_one_two_or_four_threads() {
        let tasks = [0, 1, 80, 81, 161, 241, 400, 1030].map(|n| n_tasks(n, 80));
        assert_eq!(tasks, [0, 1, 1, 2, 4, 4, 8, 16]);
    }
}
