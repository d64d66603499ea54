//! Truncation of the text, or jointly of the two texts, of a row.
//!
//! In: a row and the number of tokens that its texts may have together. Out: the same row, no longer than that.
//! Reserved tokens are not counted.

use super::dictionary::CipherId;
use super::example::Example;

/// Pops the last token of the first longest text until `max_tokens` are left in all together. Returns whether any was.
///
/// A text gets another length beside each partner: whoever asks which texts are the same asks before this. Whoever counts tokens
/// counts what it leaves, so that the vocabulary holds only what the model sees.
pub fn truncate(example: &mut Example, max_tokens: usize) -> bool {
    truncate_texts(&mut example.a, example.b.as_mut(), max_tokens)
}

/// The texts of a row as [`truncate`] leaves them; the row stays whole.
pub fn truncated(example: &Example, max_tokens: usize) -> impl Iterator<Item = &[CipherId]> {
    let b = example.b.as_deref();
    let [n_a, n_b] = kept(example.a.len(), b.map(<[_]>::len), max_tokens);
    std::iter::once(&example.a[..n_a]).chain(b.map(|b| &b[..n_b]))
}

/// How many of them are longer than that.
pub fn n_longer(examples: &[Example], max_tokens: usize) -> usize {
    let n_tokens = |example: &&Example| example.texts().map(<[_]>::len).sum::<usize>();
    let longer = examples.iter().filter(|row| n_tokens(row) > max_tokens);
    longer.count()
}

/// As [`truncate`], of texts of any tokens.
pub fn truncate_texts<T>(a: &mut Vec<T>, b: Option<&mut Vec<T>>, max_tokens: usize) -> bool {
    let n_before = a.len() + b.as_ref().map_or(0, |b| b.len());
    let [n_a, n_b] = kept(a.len(), b.as_ref().map(|b| b.len()), max_tokens);
    a.truncate(n_a);
    if let Some(b) = b {
        b.truncate(n_b);
    }
    n_before > max_tokens
}

/// The lengths that are left of texts of `a` and `b` tokens; 0 of a second one that is not there.
fn kept(mut a: usize, b: Option<usize>, max_tokens: usize) -> [usize; 2] {
    let Some(mut b) = b else {
        return [a.min(max_tokens), 0];
    };
    while a + b > max_tokens {
        if a >= b {
            a -= 1;
        } else {
            b -= 1;
        }
    }
    [a, b]
}

#[cfg(test)]
mod tests {
    use super::super::example::Target;
    use super::*;

    fn pair(a: u32, b: u32) -> Example {
        Example {
            a: (0..a).map(CipherId).collect(),
            b: Some((100..100 + b).map(CipherId).collect()),
            target: Target::Unknown,
        }
    }

    #[test]
    fn lengths_by_hand() {
        for (a, b, max_tokens, expected) in [
            (20, 20, 32, (16, 16)),
            (20, 20, 39, (19, 20)), // the first of two longest goes first
            (40, 3, 32, (29, 3)),
            (3, 40, 32, (3, 29)),
            (5, 6, 11, (5, 6)),
            (2, 2, 0, (0, 0)),
        ] {
            let mut pair = pair(a, b);
            let left: Vec<Vec<CipherId>> =
                truncated(&pair, max_tokens).map(<[_]>::to_vec).collect();
            let longer = n_longer(std::slice::from_ref(&pair), max_tokens);
            assert_eq!(truncate(&mut pair, max_tokens), longer == 1);
            assert!(pair.texts().eq(left.iter().map(Vec::as_slice)));
            assert_eq!(
                (pair.a.len(), pair.b.as_ref().map(Vec::len)),
                (expected.0, Some(expected.1))
            );
        }
    }

    #[test]
    fn a_text_alone_keeps_its_beginning() {
        let mut cut = Example {
            b: None,
            ..pair(5, 0)
        };
        truncate(&mut cut, 3);
        assert_eq!((cut.a, cut.b), (pair(3, 0).a, None));
    }

    #[test]
    fn the_beginnings_stay() {
        let mut cut = pair(9, 8);
        truncate(&mut cut, 5);
        assert_eq!(cut.a, pair(2, 0).a); // 9+8 -> 8+8 -> … -> 3+3 -> 2+3
        assert_eq!(cut.b, pair(0, 3).b);
    }
}
