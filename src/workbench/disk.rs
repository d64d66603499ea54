//! Room on the disk: how much a run will write, and whether it fits.

use std::path::Path;

use crate::error::{Error, Result};

/// Bytes of one score as text, in `submission.csv` or `valid.csv`, rounded up.
const BYTES_A_SCORE: u64 = 32;
/// Bytes of one line of `mapping.tsv` and of the vocabulary files, rounded up.
const BYTES_A_TOKEN: u64 = 128;
/// Logs, manifest and configs.
const BYTES_OF_TEXT: u64 = 1 << 20;

/// What a run folder will hold at its fullest, in bytes: `parameters` as f32 twice (a better epoch is
/// written beside the last one), `scores` lines and `vocabulary` tokens.
pub fn run_bytes(parameters: usize, scores: usize, vocabulary: usize) -> u64 {
    2 * 4 * parameters as u64
        + score_bytes(scores)
        + BYTES_A_TOKEN * vocabulary as u64
        + BYTES_OF_TEXT
}

/// What one more fold adds to that: a model and its vocabulary; its scores are counted by the caller.
pub fn fold_bytes(parameters: usize, vocabulary: usize) -> u64 {
    4 * parameters as u64 + BYTES_A_TOKEN * vocabulary as u64 + BYTES_OF_TEXT
}

/// What checkpoints of a fit take at their fullest, in bytes: two that are kept and one that is being written, each
/// with weights, two moments and the best epoch's weights, as f32.
pub fn checkpoint_bytes(parameters: usize) -> u64 {
    3 * 4 * 4 * parameters as u64
}

/// What training several models one after the other adds to a disk at its fullest, in bytes. `held` has an entry a model, in
/// order: what its folder holds of checkpoints and weights, which going on replaces.
pub fn training_bytes(held: &[u64], parameters: usize, vocabulary: usize) -> u64 {
    let peak = run_bytes(parameters, 0, vocabulary) + checkpoint_bytes(parameters);
    let end = fold_bytes(parameters, vocabulary);
    let (mut most, mut grown) = (0, 0_i128); // a model that is done may leave less than its folder held before
    for &held in held {
        let held = i128::from(held.min(peak));
        most = most.max(grown + i128::from(peak) - held);
        grown += i128::from(end) - held;
    }
    u64::try_from(most).unwrap_or(u64::MAX)
}

/// What a number of lines with a score take, in bytes.
pub fn score_bytes(scores: usize) -> u64 {
    BYTES_A_SCORE * scores as u64
}

/// Free bytes on the disk of a folder, `None` where the system does not tell.
pub fn available(folder: &Path) -> Option<u64> {
    fs4::available_space(folder).ok()
}

/// Refuses where fewer than `needed` bytes are free.
///
/// # Errors
/// [`Error::Refused`] with both numbers.
pub fn require(needed: u64, available: Option<u64>, folder: &Path) -> Result<()> {
    match available {
        Some(available) if available < needed => {
            let message = format!(
                "the run needs about {} more of disk, {} has {} left",
                megabytes(needed),
                folder.display(),
                megabytes(available)
            );
            Err(Error::refused(message)
                .with_hint("free some space, or choose another folder with --out"))
        }
        _ => Ok(()),
    }
}

/// `12.3 MB`
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_refused_with_both_numbers() {
        // 2 x 4 x 1,000,000 + 32 x 1000 + 128 x 500 + 1,048,576
        let needed = run_bytes(1_000_000, 1000, 500);
        assert_eq!(needed, 9_144_576);
        assert_eq!(checkpoint_bytes(1_000_000), 48_000_000); // 3 files x 4 tensors x 4 bytes
        let folder = Path::new("runs/a");
        assert!(require(needed, Some(needed), folder).is_ok());
        assert!(require(needed, None, folder).is_ok());
        let error = require(needed, Some(needed - 1_000_000), folder).expect_err("too small");
        assert_eq!(
            error.to_string(),
            "the run needs about 9.1 MB more of disk, runs/a has 8.1 MB left"
        );
    }

    #[test]
    fn what_is_there_already_is_not_needed_again() {
        let (peak, end) = (
            run_bytes(1000, 0, 0) + checkpoint_bytes(1000),
            fold_bytes(1000, 0),
        );
        let needed = |held: &[u64]| training_bytes(held, 1000, 0);
        assert_eq!(needed(&[]), 0);
        assert_eq!(needed(&[0]), peak);
        assert_eq!(needed(&[0, 0, 0]), 2 * end + peak);
        assert_eq!(needed(&[peak - 10]), 10);
        assert_eq!(needed(&[u64::MAX]), 0);
        // The first needs its own peak, whatever those after it hold; what it frees is room for them.
        assert_eq!(needed(&[0, peak, peak]), peak);
        assert_eq!(needed(&[peak - 10, 0]), end + 10);
    }

    #[test]
    fn the_disk_of_a_folder_has_a_size() {
        assert!(available(&std::env::temp_dir()).is_some());
    }
}
