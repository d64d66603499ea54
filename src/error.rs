//! The one error type of the crate.
//!
//! An error says where (file, line, field), what was found and what was expected; the way out is
//! a separate hint. [`Error::exit_code`] is the exit status the command line ends with.
//! Does not print: `cli` does.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Characters of what was found, or expected, that an error shows: a line of an input may be of any length.
const LONGEST_TEXT: usize = 400;

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

    /// An argument `--set ASSIGNMENT`.
    pub fn setting(assignment: &str) -> Self {
        Self::file(shortened(&format!("--set {assignment}")))
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
            field: Some(shortened(&field.to_string())),
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
    #[error("{}", one_line(&format!("{place}: expected {expected}, found {found}")))]
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
    #[error("{}", printable(message))]
    Refused {
        /// What was asked and why it cannot be.
        message: String,
        /// The way out, if one is known.
        hint: Option<String>,
    },
    /// The operating system refused.
    #[error("{}", one_line(&format!("cannot {action} {}: {source}", path.display())))]
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
    #[error("{}", printable(state))]
    Stopped {
        /// What there is to go on from.
        state: String,
    },
    /// A library failed in a way no input explains.
    #[error("unexpected: {}", printable(.0))]
    Unexpected(String),
}

impl Error {
    /// An [`Error::Input`] without a hint.
    pub fn input(place: Place, expected: impl ToString, found: impl ToString) -> Self {
        Self::Input {
            place: Box::new(place),
            expected: shortened(&expected.to_string()),
            found: shortened(&found.to_string()),
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

    /// The same error with a way out, on one line. Keeps the variant; other variants ignore it.
    pub fn with_hint(mut self, text: impl ToString) -> Self {
        if let Self::Input { hint, .. } | Self::Refused { hint, .. } = &mut self {
            *hint = Some(one_line(&text.to_string()).into_owned());
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

    /// Exit status: 1 the user can fix it, 2 unexpected, 75 stopped on purpose and ready to go on, 130 interrupted with
    /// nothing to go on from.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } | Self::Refused { .. } | Self::Io { .. } => 1,
            Self::Unexpected(_) => 2,
            Self::Stopped { .. } => 75, // EX_TEMPFAIL of sysexits.h: try again later
            Self::Interrupted => 130,
        }
    }
}

/// Text of a file or a name as a terminal may have it: control characters, which a terminal would obey, as `\u{1b}`. Line breaks
/// and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// As [`printable`], line breaks and tabs too: a field of a file may hold any number of them.
fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, char::is_control)
}

fn escaped(text: &str, is_obeyed: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_obeyed(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// The first [`LONGEST_TEXT`] characters as they are shown on one line, and how much was left out.
fn shortened(text: &str) -> String {
    let mut text = one_line(text).into_owned();
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        let more = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({more} bytes more)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_any_length_makes_a_short_error() {
        let long = "语".repeat(10_000_000);
        let place = Place::file("a.toml").field(&long);
        let error = Error::input(place, &long, &long).to_string();
        assert!(error.len() < 4000, "{} bytes", error.len());
        let kept = "语".repeat(LONGEST_TEXT);
        assert!(error.ends_with(&format!("found {kept}… (29998800 bytes more)")));
        let controls = "\u{1b}".repeat(1000); // six characters each, as they are shown
        let error = Error::input(Place::setting(&controls), &controls, &controls).to_string();
        assert!(error.chars().count() < 1400, "{error}");
    }

    #[test]
    fn a_field_of_several_lines_makes_one_line() {
        let field = "1\t,1\r\n10";
        let error = Error::input(Place::file("a.csv").field(field), field, field).to_string();
        let shown = "1\\t,1\\r\\n10";
        assert_eq!(
            error,
            format!("a.csv:{shown}: expected {shown}, found {shown}")
        );
    }

    #[test]
    fn a_terminal_obeys_no_text_of_a_file() {
        let text = "\u{1b}]0;title\u{7}\u{9b}2J\r\u{7f}语\n\tb";
        let shown = "\\u{1b}]0;title\\u{7}\\u{9b}2J\\r\\u{7f}语\n\tb";
        assert_eq!(printable(text), shown);
        let place = Place::file(text).field(text);
        for error in [
            Error::input(place, text, text),
            Error::refused(text),
            Error::io("read", Path::new(text))(io::Error::other(text)),
            Error::Stopped {
                state: text.to_owned(),
            },
            Error::Unexpected(text.to_owned()),
        ] {
            let shown = error.to_string();
            assert!(
                !shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'),
                "{shown:?}"
            );
        }
    }

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
