//! Remap: the weights of a plaintext BERT under another vocabulary.
//!
//! Row `i` of the new token embedding and entry `i` of the new MLM bias are those of plaintext row `keep[i]`
//! (post <https://kexue.fm/archives/8213>), or, where an alignment is not sure, means of several ([`remap_starts`]).
//! Nothing else changes. Does not choose the rows: that is `align`'s work.

use ndarray::{Array2, ArrayView2, Axis};

use super::Weights;
use super::names::{MLM_BIAS, WORD_EMBEDDINGS};
use crate::vocab::PlainId;
use crate::vocab::mapping::RowStart;

/// Gathers the rows of the token embedding and, where it is there, of the MLM bias.
///
/// A plaintext row may be kept any number of times: the copies start equal and are trained apart. The
/// caller sets `vocab_size` of the config to `keep.len()`.
///
/// # Panics
/// Where an id is no row of the embedding, or `weights` are not those of a BERT.
pub fn remap(weights: &mut Weights, keep: &[PlainId]) {
    let starts: Vec<_> = keep.iter().map(|&row| RowStart::Copy(row)).collect();
    remap_starts(weights, &starts);
}

/// As [`remap()`], with rows that are means of others. Copies have the bits of their rows.
///
/// # Panics
/// As [`remap()`].
pub fn remap_starts(weights: &mut Weights, starts: &[RowStart]) {
    let embeddings = weights
        .get_mut(WORD_EMBEDDINGS)
        .expect("every BERT has a token embedding");
    let rows = embeddings.view().into_dimensionality();
    *embeddings = new_rows(rows.expect("an embedding is a matrix"), starts, 0).into_dyn();
    if let Some(bias) = weights.get_mut(MLM_BIAS) {
        let column = bias.view().insert_axis(Axis(1)).into_dimensionality();
        let column = new_rows(column.expect("a bias is a vector"), starts, 1);
        *bias = column.remove_axis(Axis(1)).into_dyn();
    }
}

/// The rows of one matrix. `stream` keeps the noise of two matrices apart.
fn new_rows(old: ArrayView2<f32>, starts: &[RowStart], stream: u64) -> Array2<f32> {
    let mut new = Array2::zeros((starts.len(), old.ncols()));
    for (start, mut row) in starts.iter().zip(new.rows_mut()) {
        match start {
            RowStart::Copy(id) => row.assign(&old.row(id.0 as usize)),
            RowStart::Mean(parts) => {
                let whole: f32 = parts.iter().map(|(_, weight)| weight).sum();
                for (id, weight) in parts {
                    row.scaled_add(weight / whole, &old.row(id.0 as usize));
                }
            }
            RowStart::Band(..) => {}
        }
    }
    let is_known = |&row: &usize| !matches!(starts[row], RowStart::Band(..));
    let mut spreads: Vec<(std::ops::Range<usize>, Spread)> = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let RowStart::Band(band, key) = start else {
            continue;
        };
        if spreads.last().is_none_or(|(known, _)| known != band) {
            let mut known: Vec<usize> = band.clone().filter(is_known).collect();
            if known.is_empty() {
                known = (0..starts.len()).filter(is_known).collect();
            }
            spreads.push((band.clone(), Spread::of(&new, &known)));
        }
        let (_, spread) = spreads.last().expect("pushed just now if there was none");
        for (column, entry) in new.row_mut(at).iter_mut().enumerate() {
            let noise = key.at(stream).normal(column as u64);
            *entry = (spread.mean[column] + spread.deviation[column] * noise) as f32;
        }
    }
    new
}

/// Mean and standard deviation of rows, column by column.
struct Spread {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Spread {
    fn of(matrix: &Array2<f32>, rows: &[usize]) -> Self {
        let n = rows.len().max(1) as f64;
        let sum = |of: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let column = |c: usize| {
                rows.iter()
                    .map(|&row| of(c, f64::from(matrix[(row, c)])))
                    .sum::<f64>()
            };
            (0..matrix.ncols()).map(|c| column(c) / n).collect()
        };
        let mean = sum(&|_, entry| entry);
        let variance = sum(&|c, entry| (entry - mean[c]).powi(2));
        Self {
            deviation: variance.into_iter().map(f64::sqrt).collect(),
            mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
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

    #[test]
    fn means_by_hand() {
        let mut soft = weights();
        let mean = RowStart::Mean(vec![(PlainId(0), 0.2), (PlainId(2), 0.6)]);
        remap_starts(&mut soft, &[RowStart::Copy(PlainId(1)), mean]);
        // .25 of (0, 1) and .75 of (20, 21); of the biases .5 and 2.5.
        let rows = soft[WORD_EMBEDDINGS].as_slice().expect("in order").to_vec();
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-5, "{found}");
        assert_eq!(rows[..2], [10., 11.]);
        near(rows[2], 15.0);
        near(rows[3], 16.0);
        near(soft[MLM_BIAS].as_slice().expect("in order")[1], 2.0);
    }

    #[test]
    fn unknown_rows_are_like_their_band() {
        // The band holds rows 0 (0, 1) and 2 (20, 21), not row 1: mean (10, 11), deviation 10 in both columns.
        let n = 2000;
        let mut starts = vec![RowStart::Copy(PlainId(1))];
        starts.extend([0, 2].map(|row| RowStart::Copy(PlainId(row))));
        let key = Key::from_seed(5);
        starts.extend((0..n).map(|id| RowStart::Band(1..3 + n, key.at(id as u64))));
        let mut found = weights();
        remap_starts(&mut found, &starts);
        let again = found[WORD_EMBEDDINGS].clone();
        let column: Vec<f64> = (3..3 + n).map(|row| f64::from(again[[row, 1]])).collect();
        let mean = column.iter().sum::<f64>() / n as f64;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - 11.0).abs() < 1.0, "{mean}"); // four standard errors are .9
        assert!((variance.sqrt() - 10.0).abs() < 0.7, "{variance}"); // four are .63
        let mut twice = weights();
        remap_starts(&mut twice, &starts);
        assert_eq!(twice[WORD_EMBEDDINGS], again);
    }
}
