//! Longer rows: more positions than a checkpoint has, made from its own.
//!
//! In: the weights of a BERT with n positions. Out: the same with m, n ≤ m ≤ n²; where positions are no weights, nothing is to be
//! made. Position `i n + j` is `a u_i + (1 - a) u_j`
//! with `u_j = (p_j - a p_0) / (1 - a)` and a = .4, so that the first n keep their rows p (Su 2020,
//! <https://kexue.fm/archives/7947>, "hierarchical decomposition"). Nothing else changes.

use ndarray::{Array2, Ix2};

use super::config::MOST_POSITIONS;
use super::names::POSITION_EMBEDDINGS;
use super::{BertConfig, Weights};

/// The share of the coarse position: the post's.
const COARSE: f32 = 0.4;

/// The most positions that a network of this size can be given.
pub fn most_positions(config: &BertConfig) -> usize {
    let own = config.max_position_embeddings;
    match config.has_position_table() {
        true => own.saturating_mul(own),
        false => MOST_POSITIONS,
    }
}

/// Gives the network `n_positions`. The caller sets `max_position_embeddings` of the config.
///
/// # Panics
/// Where `n_positions` is less than they have or more than its square.
pub fn extend_positions(weights: &mut Weights, n_positions: usize) {
    let Some(table) = weights.get_mut(POSITION_EMBEDDINGS) else {
        return; // they are computed, as many as there are
    };
    let own = table.view().into_dimensionality::<Ix2>();
    let own = own.expect("an embedding is a matrix");
    let (n, width) = own.dim();
    assert!((n..=n * n).contains(&n_positions), "{n_positions} of {n}");
    let base =
        |j: usize, column: usize| (own[(j, column)] - COARSE * own[(0, column)]) / (1.0 - COARSE);
    let row = |(position, column): (usize, usize)| match position < n {
        true => own[(position, column)], // to the bit
        false => COARSE * base(position / n, column) + (1.0 - COARSE) * base(position % n, column),
    };
    *table = Array2::from_shape_fn((n_positions, width), row).into_dyn();
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn only_a_table_bounds_what_can_be_made_of_it() {
        let own = BertConfig {
            max_position_embeddings: 8,
            ..BertConfig::default()
        };
        assert_eq!(most_positions(&own), 64);
        let positions = crate::checkpoint::Positions::Rotary;
        let most = most_positions(&BertConfig { positions, ..own });
        assert_eq!(most, MOST_POSITIONS);
        let mut weights = Weights::new();
        extend_positions(&mut weights, most);
        assert!(weights.is_empty());
    }

    #[test]
    fn the_first_stay_and_the_others_are_mixed() {
        let own = array![[1.0, 0.0], [3.0, 5.0]];
        let mut weights = Weights::from([(POSITION_EMBEDDINGS.to_owned(), own.clone().into_dyn())]);
        extend_positions(&mut weights, 4);
        let long = weights[POSITION_EMBEDDINGS]
            .view()
            .into_dimensionality::<Ix2>();
        let long = long.expect("a matrix");
        assert_eq!(long.slice(ndarray::s![..2, ..]), own);
        // u = [1, 0], [(3 - .4) / .6, 5 / .6]; row 2 is .4 u_1 + .6 u_0, row 3 u_1.
        for (found, expected) in
            long.iter()
                .skip(4)
                .zip([2.6 / 1.5 + 0.6, 2.0 / 0.6, 2.6 / 0.6, 5.0 / 0.6])
        {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
