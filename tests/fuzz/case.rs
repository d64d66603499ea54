//! One damaged input: made from its number, given to its reader, judged.
//!
//! In: a reader, a number, and a folder of its own. Out: a [`Verdict`]. The same number gives the same input always. What must
//! hold: no panic, no error that no input explains, and a message that is one short line without control characters.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cipherpet::error::{Error, Result};
use cipherpet::random::Key;
use rand::RngExt;

use crate::reader::Reader;

/// Characters of a message, and of a hint.
const LONGEST_MESSAGE: usize = 2000;

/// What became of an input.
pub enum Verdict {
    Accepted,
    /// The message.
    Refused(String),
    /// What must not be, in one line.
    Failed(String),
}

/// A damaged file.
pub struct Damaged {
    /// Its name in the folder.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Damaged {
    /// The input with this number; `readers` lend pieces.
    pub fn new(readers: &[Reader], reader: usize, number: u64) -> Self {
        let mut rng = Key::from_seed(reader as u64).at(number).rng();
        let files = &readers[reader].files;
        let targets: Vec<_> = files.iter().filter(|file| file.is_target).collect();
        let file = targets[rng.random_range(0..targets.len())];
        // Mostly of the same reader.
        let lender = match rng.random_range(0..4) {
            0 => &readers[rng.random_range(0..readers.len())],
            _ => &readers[reader],
        };
        let donor = lender.files[rng.random_range(0..lender.files.len())].good();
        Self {
            name: file.name.clone(),
            bytes: file.damaged(&donor, &mut rng),
        }
    }

    /// Lays it in the place of the good file, has it read, and puts the good file back.
    pub fn read(&self, reader: &Reader, folder: &Path) -> Verdict {
        write(&folder.join(&self.name), &self.bytes);
        let verdict = judge(reader, folder);
        for file in reader.files.iter().filter(|file| file.name == self.name) {
            write(&folder.join(&file.name), &file.good());
        }
        verdict
    }
}

/// Lays the good files of a reader into a new folder, and gives what the reader says of them.
pub fn lay(reader: &Reader, folder: &Path) -> Verdict {
    for file in &reader.files {
        write(&folder.join(&file.name), &file.good());
    }
    judge(reader, folder)
}

fn write(path: &PathBuf, bytes: &[u8]) {
    let parent = path.parent().expect("a folder");
    std::fs::create_dir_all(parent).expect("room for a folder");
    std::fs::write(path, bytes).expect("room for a small file");
}

fn judge(reader: &Reader, folder: &Path) -> Verdict {
    let read = catch_unwind(AssertUnwindSafe(|| (reader.read)(folder)));
    let out = folder.join("out");
    let _ = std::fs::remove_file(&out).or_else(|_| std::fs::remove_dir_all(&out)); // mostly not there
    match read {
        Err(panic) => Verdict::Failed(format!("panic: {}", text_of(&*panic))),
        Ok(result) => of_result(result),
    }
}

fn of_result(result: Result<()>) -> Verdict {
    let Err(error) = result else {
        return Verdict::Accepted;
    };
    let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
    if !matches!(
        error,
        Error::Input { .. } | Error::Refused { .. } | Error::Io { .. }
    ) {
        return Verdict::Failed(format!("exit code {}: {message:?}", error.exit_code()));
    }
    for text in [&*message, hint] {
        if text.contains(char::is_control) {
            return Verdict::Failed(format!("control characters: {text:?}"));
        }
        let length = text.chars().count();
        if length > LONGEST_MESSAGE {
            return Verdict::Failed(format!("too long: {length} characters: {text:?}"));
        }
    }
    Verdict::Refused(message)
}

fn text_of(panic: &dyn Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message").replace('\n', " ")
}
