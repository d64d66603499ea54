//! The way into the search: what cannot be solved is refused first.

use super::cooccurrence::Side;
use super::options::GraphOptions;
use super::search;
use super::solution::Solution;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Finds the plaintext types of the cipher types. `check` is called between rounds; an error ends the search.
///
/// # Errors
/// [`Error::Refused`] for a side without sentences and for anchors that contradict each other; those of `check`.
pub fn solve(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    progress: &Progress,
    check: &dyn Fn() -> Result<()>,
) -> Result<Solution> {
    for (side, name) in [(cipher, "cipher"), (plain, "plaintext")] {
        if side.train.total() == 0.0 {
            let message = format!("the {name} side has no sentences to learn from");
            return Err(Error::refused(message).with_hint("give more text of that side"));
        }
    }
    check_anchors(&options.anchors)?;
    let task = progress.task("aligning", search::most_rounds(options.effort), "rounds");
    search::search(cipher, plain, options, task, check)
}

/// Refuses anchors that give a cipher type two plaintext types, or a plaintext type two cipher types.
fn check_anchors(anchors: &[(u32, u32)]) -> Result<()> {
    let mut by_cipher = std::collections::BTreeMap::new();
    let mut by_plain = std::collections::BTreeMap::new();
    for &(cipher, plain) in anchors {
        let earlier = *by_cipher.entry(cipher).or_insert(plain);
        if earlier != plain {
            return Err(Error::refused(format!(
                "anchors contradict each other: cipher type {cipher} is plaintext type {earlier} and {plain}"
            )));
        }
        let earlier = *by_plain.entry(plain).or_insert(cipher);
        if earlier != cipher {
            return Err(Error::refused(format!(
                "anchors contradict each other: plaintext type {plain} is cipher type {earlier} and {cipher}"
            )));
        }
    }
    Ok(())
}
