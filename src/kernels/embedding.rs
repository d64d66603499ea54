//! Table look-ups: gather rows, and scatter their gradients back.
//!
//! Ids are in range by construction of the batch; an id beyond the table panics.

use multiversion::multiversion;

use super::vector;

/// `out[i] = sum over tables of table[ids[i]]`, in their order, with rows of `width`. One table or more.
pub fn gather<const N: usize>(tables: [(&[f32], &[u32]); N], width: usize, out: &mut [f32]) {
    gather_all(&tables, width, out);
}

#[multiversion(targets = "simd")]
fn gather_all(tables: &[(&[f32], &[u32])], width: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(width).enumerate() {
        for (number, (table, ids)) in tables.iter().enumerate() {
            match number {
                0 => out.copy_from_slice(row(table, ids[i], width)),
                _ => vector::add(out, row(table, ids[i], width)),
            }
        }
    }
}

/// `out[i] = table[ids[i]]`.
pub fn select(table: &[f32], ids: &[u32], width: usize, out: &mut [f32]) {
    for (out, &id) in out.chunks_exact_mut(width).zip(ids) {
        out.copy_from_slice(row(table, id, width));
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
        let zeros = ([0.0; 2], [0; 3]);
        let mut out = [f32::NAN; 6];
        let nothing = (&zeros.0[..], &zeros.1[..]);
        gather([(&table, &ids), nothing, nothing], 2, &mut out);
        assert_eq!(out, [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
        gather(
            [(&table, &ids), (&table, &ids), (&table, &[0, 0, 0])],
            2,
            &mut out,
        );
        assert_eq!(out, [11.0, 14.0, 3.0, 6.0, 11.0, 14.0]);
        let mut gradient = [0.0; 6];
        scatter_add(&mut gradient, &ids, 2, &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        assert_eq!(gradient, [2.0, 20.0, 0.0, 0.0, 4.0, 40.0]);
    }
}
