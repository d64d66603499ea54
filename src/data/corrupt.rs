//! Masking of tokens for the MLM (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, 3.1).
//!
//! In: one sentence in rows of the vocabulary. Out: the same with some tokens hidden, and the target
//! of each position. Targets stand on all selected positions, the unchanged ones too. Does not see `[CLS]`
//! and `[SEP]`: they are added later.

use rand::RngExt;

use super::reserved::{FIRST_CIPHER, MASK};
use crate::random::Key;

/// Masks one sentence in place; returns the target of each position (0 = none).
///
/// `mask` is the share of selected positions (.15 in the reference), 0..=1. One uniform r a token decides:
/// below .8 `mask` it becomes `[MASK]`, below .9 `mask` it stays, below `mask` it becomes a
/// uniform cipher token, which may be the same again. `[UNK]` can be selected, its target is `[UNK]`. Cipher tokens are the
/// rows from [`FIRST_CIPHER`] to `ciphers_end`, which is not one of them; where there are none, the last kind stays as it is.
pub fn corrupt(tokens: &mut [u32], mask: f64, ciphers_end: u32, key: Key) -> Vec<u32> {
    let mut rng = key.rng();
    let mut targets = vec![0; tokens.len()];
    for (token, target) in tokens.iter_mut().zip(&mut targets) {
        let r: f64 = rng.random();
        if r >= mask {
            continue;
        }
        *target = *token;
        if r < 0.8 * mask {
            *token = MASK;
        } else if r >= 0.9 * mask && ciphers_end > FIRST_CIPHER {
            *token = rng.random_range(FIRST_CIPHER..ciphers_end);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::super::reserved::UNK;
    use super::*;

    const TOKENS: usize = 200_000;
    const VOCAB: u32 = 1007;

    #[test]
    fn shares_are_eighty_ten_ten_of_the_mask() {
        let original = vec![500; TOKENS];
        let mut tokens = original.clone();
        let targets = corrupt(&mut tokens, 0.15, VOCAB, Key::from_seed(1));
        let share = |wanted: &dyn Fn(u32, u32) -> bool| -> f64 {
            let n = tokens
                .iter()
                .zip(&targets)
                .filter(|(x, y)| wanted(**x, **y));
            n.count() as f64 / TOKENS as f64
        };
        // Four standard errors of a share p among n: 4 sqrt(p (1 - p) / n).
        let near = |found: f64, p: f64| {
            let bound = 4.0 * (p * (1.0 - p) / TOKENS as f64).sqrt();
            assert!((found - p).abs() < bound, "{found} is not near {p}");
        };
        near(share(&|x, y| x == MASK && y == 500), 0.12);
        near(share(&|x, y| x == 500 && y == 500), 0.015 + 0.015 / 1000.0);
        near(
            share(&|x, y| x != MASK && x != 500 && y == 500),
            0.015 * 0.999,
        );
        near(share(&|x, y| x == 500 && y == 0), 0.85);
        for (token, target) in tokens.iter().zip(&targets) {
            assert!(*token == MASK || (FIRST_CIPHER..VOCAB).contains(token));
            assert!(*target == 500 || (*target == 0 && *token == 500));
        }
        let drawn: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert!(drawn.contains(&FIRST_CIPHER) && drawn.contains(&(VOCAB - 1)));
    }

    #[test]
    fn the_key_decides() {
        let draw = |seed| {
            let mut tokens: Vec<u32> = (7..107).collect();
            let targets = corrupt(&mut tokens, 0.5, 107, Key::from_seed(seed));
            (tokens, targets)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn bounds_of_the_share() {
        let mut tokens = vec![UNK, 8, 9];
        assert_eq!(corrupt(&mut tokens, 0.0, 10, Key::from_seed(3)), [0, 0, 0]);
        assert_eq!(tokens, [UNK, 8, 9]);
        // All are selected, the unknown token too.
        assert_eq!(
            corrupt(&mut tokens, 1.0, 10, Key::from_seed(3)),
            [UNK, 8, 9]
        );
    }

    #[test]
    fn a_vocabulary_without_cipher_tokens_only_masks() {
        let mut tokens = vec![UNK; 1000];
        corrupt(&mut tokens, 1.0, FIRST_CIPHER, Key::from_seed(4));
        assert!(tokens.iter().all(|&x| x == MASK || x == UNK));
    }
}
