//! The first rows of every run's vocabulary. Cipher tokens start at [`FIRST_CIPHER`].
//!
//! The order is the reference's (post kexue.fm/archives/8213). Constants only.

/// Padding; packed batches never hold it. As a target it means "none".
pub const PAD: u32 = 0;
/// A cipher token that is rare or unknown.
pub const UNK: u32 = 1;
/// Opens every row; the answer is read here.
pub const CLS: u32 = 2;
/// Closes each of the two sentences.
pub const SEP: u32 = 3;
/// A hidden token.
pub const MASK: u32 = 4;
/// The answer "not the same meaning".
pub const NO: u32 = 5;
/// The answer "the same meaning".
pub const YES: u32 = 6;
/// Row of the most frequent cipher token.
pub const FIRST_CIPHER: u32 = 7;
/// Names of the reserved rows, in order, as written to `vocab.txt`.
pub const NAMES: [&str; 7] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[NO]", "[YES]",
];
