//! The one error type of the crate.
//!
//! An error says where (file, line, field), what was found and what was expected; the way out is
//! a separate hint. [`Error::exit_code`] is the exit status the command line ends with.
//! Does not print: `cli` does.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A place in an input: `train.tsv:1042:label`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: Option<u64>,
    /// Column name or number (from 1), tensor name, or config key.
    pub field: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            line: None,
            field: None,
        }
    }

    /// A line of a file, counted from 1.
    pub fn line(file: impl Into<PathBuf>, line: u64) -> Self {
        Self {
            line: Some(line),
            ..Self::file(file)
        }
    }

    /// The same place, narrowed to a field.
    pub fn field(self, field: impl ToString) -> Self {
        Self {
            field: Some(field.to_string()),
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ":{field}")?;
        }
        Ok(())
    }
}

/// What can go wrong, as far as callers tell cases apart.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input does not hold what it should. The user can fix it.
    #[error("{place}: expected {expected}, found {found}")]
    Input {
        /// Where. Boxed, so that `Result` stays small.
        place: Box<Place>,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
        /// The way out, if one is known.
        hint: Option<String>,
    },
    /// The inputs are readable but the request cannot be done with them. The user can fix it.
    #[error("{message}")]
    Refused {
        /// What was asked and why it cannot be.
        message: String,
        /// The way out, if one is known.
        hint: Option<String>,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Stopped by Ctrl-C or a termination signal; what was finished stays readable.
    #[error("interrupted")]
    Interrupted,
    /// Stopped on purpose, with a state from which the same command goes on.
    #[error("{state}")]
    Stopped {
        /// What there is to go on from.
        state: String,
    },
    /// A library failed in a way no input explains.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

impl Error {
    /// An [`Error::Input`] without a hint.
    pub fn input(place: Place, expected: impl ToString, found: impl ToString) -> Self {
        Self::Input {
            place: Box::new(place),
            expected: expected.to_string(),
            found: found.to_string(),
            hint: None,
        }
    }

    /// An [`Error::Refused`] without a hint.
    pub fn refused(message: impl ToString) -> Self {
        Self::Refused {
            message: message.to_string(),
            hint: None,
        }
    }

    /// Wraps an I/O error: `.map_err(Error::io("read", path))`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The same error with a way out. Keeps the variant; other variants ignore it.
    pub fn with_hint(mut self, text: impl ToString) -> Self {
        if let Self::Input { hint, .. } | Self::Refused { hint, .. } = &mut self {
            *hint = Some(text.to_string());
        }
        self
    }

    /// The way out, if one is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Input { hint, .. } | Self::Refused { hint, .. } => hint.as_deref(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space, or choose another folder with --out")
            }
            Self::Stopped { .. } => Some("run the same command again"),
            _ => None,
        }
    }

    /// Whether everything must end, and not just the piece of work that met this error.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Stopped { .. })
    }

    /// Exit status: 1 the user can fix it, 2 unexpected, 75 stopped on purpose and ready to go on, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::Refused { .. } | Self::Io { .. } => 1,
            Self::Unexpected(_) => 2,
            Self::Stopped { .. } => 75, // EX_TEMPFAIL of sysexits.h: try again later
            Self::Interrupted => 130,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_what_and_the_way_out() {
        let error = Error::input(
            Place::line("train.tsv", 1042).field(3),
            "label 0 or 1",
            "`2`",
        )
        .with_hint("rows without a label belong in `data.unlabelled`");
        assert_eq!(
            error.to_string(),
            "train.tsv:1042:3: expected label 0 or 1, found `2`"
        );
        assert_eq!(
            error.hint(),
            Some("rows without a label belong in `data.unlabelled`")
        );
        assert_eq!(error.exit_code(), 1);
        assert_eq!(Error::Interrupted.exit_code(), 130);
    }
}
