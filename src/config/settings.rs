//! What every kind of file of settings can do: be known by its keys, be written, hashed and compared.
//!
//! In: a type whose fields are the keys of a TOML file. Out: its text, its hash, the first key in which two differ. The loader
//! ([`super::load`]) reads any of them. Does not read files.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::Keys;
use crate::error::{Error, Result};
use crate::hash::sha256;

/// Name of the section of a grid.
pub const GRID: &str = "grid";

/// The settings of a job, as a TOML file and `--set` give them.
pub trait Settings: Serialize + DeserializeOwned + Default + Clone + 'static {
    /// What the file is called in errors: `experiment`.
    const NAME: &'static str;
    /// The same with its article.
    const ONE: &'static str;
    /// Whether it may hold a `[grid]`.
    const HAS_GRID: bool;

    /// Its keys.
    fn keys() -> &'static Keys;

    /// The command whose files have this section, where files of this kind have not; none where no command's have.
    fn other_command(_section: &str) -> Option<&'static str> {
        None
    }

    /// What a preset of this name lays under everything else; none where there is no such thing.
    fn preset(_: &str) -> Option<toml::Table> {
        None
    }

    /// The text of `config.toml`: every key that has a value, paths absolute. Loading it gives equal settings.
    ///
    /// # Errors
    /// [`Error::Refused`] where a path is not UTF-8.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(unwritable)
    }

    /// Every key that is no path, in the order of the types, with its value; `stage[1].epochs` for elements of a list.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    fn settings(&self) -> Result<Vec<(String, toml::Value)>> {
        let table = toml::Table::try_from(self).map_err(unwritable)?;
        Ok(Self::keys().settings(&table))
    }

    /// SHA-256 of every key that is no path, that `counts` counts and that is not at its default, sorted; 64 hexadecimal
    /// digits. So a key that later versions add changes nothing that does not set it. What a path leads to counts by its
    /// content, which is not known here.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    fn sha256_of(&self, counts: &dyn Fn(&str) -> bool) -> Result<String> {
        let counted = |settings: &Self| -> Result<Vec<(String, toml::Value)>> {
            let settings = settings.settings()?.into_iter();
            Ok(settings.filter(|(key, _)| counts(key)).collect())
        };
        let (default, settings) = (counted(&Self::default())?, counted(self)?);
        let changed = settings.iter().filter(|setting| !default.contains(setting));
        let mut lines: Vec<String> = changed
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        // A file in the place of a word.
        let is_gone = |key: &String| !settings.iter().any(|(other, _)| other == key);
        let gone = default.iter().filter(|(key, _)| is_gone(key));
        lines.extend(gone.map(|(key, _)| format!("{key} is no setting\n")));
        lines.sort_unstable();
        Ok(sha256(lines.concat()))
    }

    /// The first key that `counts` counts, paths aside, whose value differs in `other`: the key, the value here and there; none
    /// for one that is not set.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    fn first_difference_of(
        &self,
        other: &Self,
        counts: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Difference>> {
        let (here, there) = (self.settings()?, other.settings()?);
        let value = |settings: &[(String, toml::Value)], key: &str| {
            let mut settings = settings.iter();
            settings.find_map(|(other, value)| (other == key).then(|| value.clone()))
        };
        let keys = here.iter().chain(&there).filter(|(key, _)| counts(key));
        let differing = keys.into_iter().find_map(|(key, _)| {
            let (here, there) = (value(&here, key), value(&there, key));
            let key = key.clone();
            (here != there).then_some(Difference { key, here, there })
        });
        Ok(differing)
    }
}

/// A key that two files set differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `train.epochs`
    pub key: String,
    /// The value of the one.
    pub here: Option<toml::Value>,
    /// The value of the other.
    pub there: Option<toml::Value>,
}

/// `seed` is 0 there, 1 here
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |value: &Option<toml::Value>| match value {
            Some(value) => value.to_string(),
            None => "not set".to_owned(),
        };
        let (there, here) = (show(&self.there), show(&self.here));
        write!(f, "`{}` is {there} there, {here} here", self.key)
    }
}

/// The error for settings that have no form as TOML: they hold a path that is not UTF-8.
pub fn unwritable(error: toml::ser::Error) -> Error {
    Error::refused(format!("cannot write the config as TOML: {error}"))
        .with_hint("rename files and folders whose names are not UTF-8")
}
