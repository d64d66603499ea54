//! Remap: the weights of a plaintext BERT under another vocabulary.
//!
//! Row `i` of the new token embedding and entry `i` of the new MLM bias are those of plaintext row `keep[i]`
//! (post <https://kexue.fm/archives/8213>). Nothing else changes. Does not choose the rows: that is `vocab::align`.

use ndarray::Axis;

use super::Weights;
use super::names::{MLM_BIAS, WORD_EMBEDDINGS};
use crate::vocab::PlainId;

/// Gathers the rows of the token embedding and, where it is there, of the MLM bias.
///
/// A plaintext row may be kept any number of times: the copies start equal and are trained apart. The
/// caller sets `vocab_size` of the config to `keep.len()`.
///
/// # Panics
/// Where an id is no row of the embedding, or `weights` are not those of a BERT.
pub fn remap(weights: &mut Weights, keep: &[PlainId]) {
    let rows: Vec<usize> = keep.iter().map(|id| id.0 as usize).collect();
    let embeddings = weights
        .get_mut(WORD_EMBEDDINGS)
        .expect("every BERT has a token embedding");
    *embeddings = embeddings.select(Axis(0), &rows);
    if let Some(bias) = weights.get_mut(MLM_BIAS) {
        *bias = bias.select(Axis(0), &rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn weights() -> Weights {
        Weights::from([
            (
                WORD_EMBEDDINGS.to_owned(),
                array![[0., 1.], [10., 11.], [20., 21.]].into_dyn(),
            ),
            (MLM_BIAS.to_owned(), array![0.5, 1.5, 2.5].into_dyn()),
            (
                "bert.pooler.dense.bias".to_owned(),
                array![7., 8.].into_dyn(),
            ),
        ])
    }

    #[test]
    fn gathers_rows_with_duplicates_and_touches_nothing_else() {
        let mut weights = weights();
        remap(&mut weights, &[2, 0, 2, 2].map(PlainId));
        let rows = array![[20., 21.], [0., 1.], [20., 21.], [20., 21.]].into_dyn();
        assert_eq!(weights[WORD_EMBEDDINGS], rows);
        assert!(weights[WORD_EMBEDDINGS].is_standard_layout());
        assert_eq!(weights[MLM_BIAS], array![2.5, 0.5, 2.5, 2.5].into_dyn());
        assert_eq!(weights["bert.pooler.dense.bias"], array![7., 8.].into_dyn());
    }

    #[test]
    fn a_permutation_and_its_inverse_give_the_weights_back() {
        let mut there_and_back = weights();
        remap(&mut there_and_back, &[2, 0, 1].map(PlainId));
        assert_ne!(there_and_back, weights());
        remap(&mut there_and_back, &[1, 2, 0].map(PlainId));
        assert_eq!(there_and_back, weights());
    }

    #[test]
    fn without_an_mlm_head_only_the_embedding_changes() {
        let mut weights = weights();
        weights.remove(MLM_BIAS);
        remap(&mut weights, &[PlainId(1)]);
        assert_eq!(weights[WORD_EMBEDDINGS].shape(), [1, 2]);
        assert!(!weights.contains_key(MLM_BIAS));
    }
}
