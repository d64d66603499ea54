//! A linear head that starts as the next-sentence head of a checkpoint.
//!
//! In: weights with `cls.seq_relationship`, whose index 0 is "next" (Sun et al. 2021,
//! <https://arxiv.org/abs/2109.03564>). Out: the same with a `classifier` for labels 0 and 1, of which 1 stands for "next". Nothing else changes.

use ndarray::Axis;

use super::Weights;
use super::names::{CLASSIFIER_BIAS, CLASSIFIER_WEIGHT, NSP};

/// Puts the classifier there. With two outputs they are "not next" and "next", the order of the labels; with one it is the logit of "next"
/// above that of "not next".
///
/// # Panics
/// Where `weights` have no next-sentence head, or `outputs` is not 1 or 2.
pub fn start_from_nsp(weights: &mut Weights, outputs: usize) {
    assert!(outputs == 1 || outputs == 2, "{outputs} outputs");
    for (&(source, ..), name) in NSP.iter().zip([CLASSIFIER_WEIGHT, CLASSIFIER_BIAS]) {
        let answers = weights.get(source).expect("a next-sentence head");
        let [next, other] = [0, 1].map(|answer| answers.index_axis(Axis(0), answer));
        let head = match outputs {
            2 => ndarray::stack![Axis(0), other, next],
            _ => (&next - &other).insert_axis(Axis(0)),
        };
        weights.insert(name.to_owned(), head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn next_is_label_1() {
        let nsp = array![[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]];
        let start = |outputs| {
            let mut weights = Weights::from([
                (NSP[0].0.to_owned(), nsp.clone().into_dyn()),
                (NSP[1].0.to_owned(), array![0.25, -0.25].into_dyn()),
            ]);
            start_from_nsp(&mut weights, outputs);
            [CLASSIFIER_WEIGHT, CLASSIFIER_BIAS].map(|name| weights[name].clone())
        };
        let two = [
            array![[0.5, -1.0, 0.0], [1.0, 2.0, 3.0]].into_dyn(),
            array![-0.25, 0.25].into_dyn(),
        ];
        assert_eq!(start(2), two);
        let one = [array![[0.5, 3.0, 3.0]].into_dyn(), array![0.5].into_dyn()];
        assert_eq!(start(1), one);
    }
}
