//! Table look-ups: gather rows, and scatter their gradients back.
//!
//! Ids are in range by construction of the batch; an id beyond the table panics.

use multiversion::multiversion;
use rayon::prelude::*;

use super::rows::CHUNK;
use super::vector;

/// `out[i] = table[ids[i]]`, with rows of `width`.
pub fn gather(table: &[f32], ids: &[u32], width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(ids.len() * width);
    for &id in ids {
        out.extend_from_slice(row(table, id, width));
    }
    out
}

/// `out[i] += table[ids[i]]`.
pub fn gather_add(table: &[f32], ids: &[u32], width: usize, out: &mut [f32]) {
    out.par_chunks_mut(CHUNK * width)
        .zip(ids.par_chunks(CHUNK))
        .for_each(|(out, ids)| gather_chunk(table, ids, width, out));
}

#[multiversion(targets = "simd")]
fn gather_chunk(table: &[f32], ids: &[u32], width: usize, out: &mut [f32]) {
    for (out, &id) in out.chunks_exact_mut(width).zip(ids) {
        vector::add(out, row(table, id, width));
    }
}

/// `table[ids[i]] += values[i]`, in the order of the ids.
#[multiversion(targets = "simd")]
pub fn scatter_add(table: &mut [f32], ids: &[u32], width: usize, values: &[f32]) {
    for (values, &id) in values.chunks_exact(width).zip(ids) {
        let first = id as usize * width;
        vector::add(&mut table[first..first + width], values);
    }
}

#[inline(always)]
fn row(table: &[f32], id: u32, width: usize) -> &[f32] {
    &table[id as usize * width..(id as usize + 1) * width]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_is_the_transpose_of_gather() {
        let table = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let ids = [2, 0, 2];
        assert_eq!(gather(&table, &ids, 2), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
        let mut out = [1.0; 6];
        gather_add(&table, &ids, 2, &mut out);
        assert_eq!(out, [6.0, 7.0, 2.0, 3.0, 6.0, 7.0]);
        let mut gradient = [0.0; 6];
        scatter_add(&mut gradient, &ids, 2, &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        assert_eq!(gradient, [2.0, 20.0, 0.0, 0.0, 4.0, 40.0]);
    }
}
