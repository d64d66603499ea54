//! SHA-256 of bytes and files, as every record of the tool writes it: 64 hexadecimal digits.
//!
//! In: content at once, piece by piece, or a file on disk. Out: text. Knows no record and no format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Content that comes piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// The next piece. How content is cut into pieces changes nothing.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> String {
        let digest = self.finish_bytes();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hash of all pieces, not as text.
    pub fn finish_bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The hash of content that is in memory.
pub fn sha256(content: impl AsRef<[u8]>) -> String {
    let mut hasher = Hasher::default();
    hasher.update(content.as_ref());
    hasher.finish()
}

/// Size and hash of a file, which is never held in memory as a whole.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok((bytes, hasher.finish()));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one-block example of the standard (FIPS 180-4).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_pieces_and_a_file_have_one_hash() {
        assert_eq!(sha256("abc"), ABC);
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), ABC);
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").expect("a small file");
        assert_eq!(sha256_of_file(&path).expect("a file"), (3, ABC.to_owned()));
    }
}
