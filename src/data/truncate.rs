//! Joint truncation of the two sentences of a pair.
//!
//! In: a pair and the number of tokens that both may have together. Out: the same pair, no longer than that.
//! Reserved tokens are not counted.

use super::reader::Pair;

/// Pops the last token of the first longest sentence until `max_tokens` are left in the two together.
///
/// Runs before counting, so that the vocabulary holds only what the model sees.
pub fn truncate(pair: &mut Pair, max_tokens: usize) {
    while pair.a.len() + pair.b.len() > max_tokens {
        if pair.a.len() >= pair.b.len() {
            pair.a.pop();
        } else {
            pair.b.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dictionary::CipherId;
    use super::*;

    fn pair(a: u32, b: u32) -> Pair {
        Pair {
            a: (0..a).map(CipherId).collect(),
            b: (100..100 + b).map(CipherId).collect(),
            label: None,
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
            assert_eq!((pair.a.len(), pair.b.len()), expected);
        }
    }

    #[test]
    fn the_beginnings_stay() {
        let mut cut = pair(9, 8);
        truncate(&mut cut, 5);
        assert_eq!(cut.a, pair(2, 0).a); // 9+8 -> 8+8 -> … -> 3+3 -> 2+3
        assert_eq!(cut.b, pair(0, 3).b);
    }
}
