//! One key and its value, apart from all others: whether there is such a key, whether the value has its type, and the words for what is
//! refused.
//!
//! In: a key, a TOML value and the place where they stand. Out: the value with absolute paths. Layers of settings are
//! [`super::load`]'s matter.

use std::path::{Path, PathBuf};

use toml::Value;

use super::settings::{GRID, Settings};
use crate::data::source;
use crate::error::{Error, Place, Result};

/// What relative paths are relative to.
pub(super) enum Folder {
    Disk(PathBuf),
    Embedded,
}

impl Folder {
    pub(super) fn resolve(&self, path: &str) -> String {
        let path = Path::new(path);
        let resolved = match self {
            _ if source::is_embedded(path) => path.to_owned(),
            Self::Disk(folder) => clean(&folder.join(path)),
            Self::Embedded => source::join(Path::new("demo:"), &path.to_string_lossy()),
        };
        // Comes from TOML text and the working folder; a folder that is not UTF-8 fails when it is opened.
        resolved.to_string_lossy().into_owned()
    }
}

/// Takes out `.` and resolves `..` by name, so that one file has one spelling in the hash.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// `value`, if it has the type that the key wants, with absolute paths.
pub(super) fn checked_value<T: Settings>(
    key: &str,
    mut value: Value,
    place: &Place,
    folder: &Folder,
) -> Result<Value> {
    let keys = T::keys();
    Value::Table(keys.alone(key, value.clone()))
        .try_into::<T>()
        .map_err(|error| wrong_type(place.clone(), error.message()))?;
    if let Some(node) = keys.find(key) {
        node.each_path(&mut value, &mut |path| *path = folder.resolve(path));
    }
    Ok(value)
}

/// Fails for a key that there is not. A section's name passes: its type is checked later.
pub(super) fn require_known<T: Settings>(key: &str, place: &Place) -> Result<()> {
    match T::keys().find(key) {
        Some(_) => Ok(()),
        None => Err(unknown::<T>(key, place.clone())),
    }
}

/// The error for a key that there is not, with the nearest known one.
pub(super) fn unknown<T: Settings>(key: &str, place: Place) -> Error {
    let error = Error::input(place, "a known key", format!("`{key}`"));
    let section = key.split(['.', '[']).next().unwrap_or(key);
    if let Some(command) = T::other_command(section) {
        return error.with_hint(format!("`{section}` belongs in a file for `{command}`"));
    }
    let more = if T::HAS_GRID { &[GRID][..] } else { &[] };
    error.with_hint(T::keys().hint(key, more))
}

/// Turns serde's `invalid type: string "x", expected usize` into our own form.
pub(super) fn wrong_type(place: Place, message: &str) -> Error {
    if let Some(key) = message.strip_prefix("missing field ") {
        return Error::input(place, format!("the key {key}"), "none");
    }
    if let Some((_, name)) = message.split_once("any variant of untagged enum ") {
        let expected = match name.trim_end() {
            "LabelColumns" => "a column number or name, or a list of them",
            _ => "a column number or name",
        };
        return Error::input(place, expected, "another value");
    }
    let Some((found, expected)) = message.split_once(", expected ") else {
        return Error::input(place, "a valid value", one_line(message));
    };
    let found = found
        .trim_start_matches("invalid type: ")
        .trim_start_matches("invalid value: ")
        .trim_start_matches("unknown variant ");
    let expected = match expected {
        "usize" | "u64" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "path string" => "a path",
        "a character" => "one character",
        _ if expected.starts_with("struct ") => "a section",
        other => other,
    };
    let text = found
        .strip_prefix("string \"")
        .and_then(|text| text.strip_suffix('"'));
    let is_in_quotes = text.is_some_and(|text| match expected {
        "true or false" => text.parse::<bool>().is_ok(),
        "a number" | "a whole number, 0 or more" => text.parse::<f64>().is_ok(),
        _ => false,
    });
    let error = Error::input(place, expected, found);
    match is_in_quotes {
        true => error.with_hint("write it without quotes"),
        false => error,
    }
}

/// A message of several lines in one.
pub(super) fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}
