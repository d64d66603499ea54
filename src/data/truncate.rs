//! Truncation of the text, or jointly of the two texts, of a row.
//!
//! In: a row and the number of tokens that its texts may have together. Out: the same row, no longer than that.
//! Reserved tokens are not counted.

use super::example::Example;

/// Pops the last token of the first longest text until `max_tokens` are left in all together. Returns whether any was.
///
/// Runs before counting, so that the vocabulary holds only what the model sees.
pub fn truncate(example: &mut Example, max_tokens: usize) -> bool {
    truncate_texts(&mut example.a, example.b.as_mut(), max_tokens)
}

/// Truncates all of them. Returns how many were cut.
pub fn truncate_all(examples: &mut [Example], max_tokens: usize) -> usize {
    let cut = examples
        .iter_mut()
        .map(|example| truncate(example, max_tokens));
    cut.filter(|was_cut| *was_cut).count()
}

/// As [`truncate`], of texts of any tokens.
pub fn truncate_texts<T>(a: &mut Vec<T>, b: Option<&mut Vec<T>>, max_tokens: usize) -> bool {
    let n_before = a.len() + b.as_ref().map_or(0, |b| b.len());
    match b {
        None => a.truncate(max_tokens),
        Some(b) => {
            while a.len() + b.len() > max_tokens {
                if a.len() >= b.len() {
                    a.pop();
                } else {
                    b.pop();
                }
            }
        }
    }
    n_before > max_tokens
}

#[cfg(test)]
mod tests {
    use super::super::dictionary::CipherId;
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
            truncate(&mut pair, max_tokens);
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
