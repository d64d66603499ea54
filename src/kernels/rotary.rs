//! Rotary positions of attention (Su et al. 2021, RoFormer, <https://arxiv.org/abs/2104.09864>): every pair of neighbouring
//! elements of a query or a key is turned by an angle that grows with the token's position.
//!
//! In: q and k, and the position of each of their tokens. Out: both turned, in place; or their gradients turned back, for the
//! transpose of a rotation is its inverse. A product of two turned vectors knows the distance of their tokens alone. Values stay.

use multiversion::multiversion;

use super::attention::Qkv;

/// Sines and cosines of all positions.
#[derive(Debug)]
pub struct RotaryTable {
    /// Pairs of a head.
    n_pairs: usize,
    /// (positions × pairs).
    sines: Vec<f32>,
    /// (positions × pairs).
    cosines: Vec<f32>,
}

impl RotaryTable {
    /// Of sines and cosines (positions × pairs), for heads of `size` elements, twice the pairs.
    pub fn new(sines: Vec<f32>, cosines: Vec<f32>, size: usize) -> Self {
        Self {
            n_pairs: size / 2,
            sines,
            cosines,
        }
    }
}

/// The positions of the tokens of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Rotary<'a> {
    /// Sines and cosines.
    pub table: &'a RotaryTable,
    /// In its row, of each token, (tokens).
    pub keys: &'a [u32],
    /// In its row, of each token that asks, (queries).
    pub queries: &'a [u32],
}

impl Rotary<'_> {
    /// Turns queries and keys.
    ///
    /// # Panics
    /// Where a position is beyond the table.
    pub fn turn(&self, qkv: &mut Qkv) {
        turn(self.table, self.queries, 1.0, &mut qkv.query);
        turn(self.table, self.keys, 1.0, &mut qkv.key);
    }

    /// Turns the gradients of turned queries and keys back to those of what was turned.
    pub fn turn_back(&self, gradient: &mut Qkv) {
        turn(self.table, self.queries, -1.0, &mut gradient.query);
        turn(self.table, self.keys, -1.0, &mut gradient.key);
    }
}

/// Turns (tokens × H) forth or back, by the sign of `direction`.
#[multiversion(targets = "simd")]
fn turn(table: &RotaryTable, positions: &[u32], direction: f32, values: &mut [f32]) {
    let n = table.n_pairs;
    let hidden = values.len() / positions.len().max(1);
    for (token, &position) in values.chunks_exact_mut(hidden.max(1)).zip(positions) {
        let angle = position as usize * n..(position as usize + 1) * n;
        let (sines, cosines) = (&table.sines[angle.clone()], &table.cosines[angle]);
        for head in token.chunks_exact_mut(2 * n) {
            let pairs = head.as_chunks_mut::<2>().0.iter_mut();
            for ((pair, sine), cosine) in pairs.zip(sines).zip(cosines) {
                let ([x, y], sine) = (*pair, direction * sine);
                *pair = [cosine.mul_add(x, -(sine * y)), cosine.mul_add(y, sine * x)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::buffer::Buffer;
    use crate::kernels::{naive, vector};

    /// 40 positions of two pairs, turned by .3 and .01 a position.
    fn table() -> RotaryTable {
        let angles = (0..40).flat_map(|position| [0.3, 0.01].map(|angle| position as f32 * angle));
        let angles: Vec<f32> = angles.collect();
        let of = |f: fn(f32) -> f32| angles.iter().copied().map(f).collect();
        RotaryTable::new(of(f32::sin), of(f32::cos), 4)
    }

    #[test]
    fn pairs_are_turned_by_their_position_and_back() {
        let table = table();
        let (queries, keys) = ([0, 10], [3, 0, 39]);
        let [q, k, v] = [(2, 1), (3, 2), (3, 3)].map(|(n, seed)| naive::values(n * 8, seed));
        let mut qkv = Qkv {
            query: Buffer::from_slice(&q),
            key: Buffer::from_slice(&k),
            value: Buffer::from_slice(&v),
        };
        let rotary = Rotary {
            table: &table,
            keys: &keys,
            queries: &queries,
        };
        rotary.turn(&mut qkv);
        assert_eq!(qkv.query[..8], q[..8], "position 0 turns nothing");
        // The second pair of the second head of the query at 10: by .1.
        let (x, y) = (q[8 + 6], q[8 + 7]);
        let (sine, cosine) = 0.1f32.sin_cos();
        let expected = [x * cosine - y * sine, x * sine + y * cosine];
        naive::assert_close(&qkv.query[8 + 6..8 + 8], &expected, 1e-6);
        assert_eq!(qkv.value[..], v);
        rotary.turn_back(&mut qkv);
        naive::assert_close(&qkv.query, &q, 1e-6);
        naive::assert_close(&qkv.key, &k, 1e-6);
    }

    #[test]
    fn a_product_knows_the_distance_alone() {
        let table = table();
        let product = |query: u32, key: u32| {
            let turned = |position, seed| {
                let mut vector = naive::values(4, seed);
                turn(&table, &[position], 1.0, &mut vector);
                vector
            };
            vector::dot(&turned(query, 1), &turned(key, 2))
        };
        assert!((product(2, 7) - product(30, 35)).abs() < 1e-5);
        assert!((product(2, 7) - product(7, 2)).abs() > 1e-3);
    }
}
