//! Tips for wrong usage that clap cannot know of.
//!
//! In: clap's error and the words of the command line. Out: the error with a tip: which key of the experiment an option was meant
//! for, which command does what another tool calls by another name. Does not print.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config;

/// Commands of other tools, and what does their work here.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("train", "`cipherpet run` trains"),
    ("fit", "`cipherpet run` trains"),
    ("evaluate", "`cipherpet run` trains and validates"),
    (
        "test",
        "`cipherpet predict` scores a file with the model of a run",
    ),
    (
        "submit",
        "`cipherpet run` writes the submission, `cipherpet check` checks it",
    ),
    (
        "init",
        "`cipherpet inspect FILES --starter experiment.toml` writes a first experiment file",
    ),
    ("list", "`cipherpet board` lists runs"),
];

/// The same error, with a tip where one is known.
pub fn with_tip(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let named = |error: &clap::Error, kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            named(&error, ContextKind::InvalidArg).and_then(|option| key_of(&option, words))
        }
        ErrorKind::InvalidSubcommand => {
            let name = named(&error, ContextKind::InvalidSubcommand);
            name.and_then(|name| {
                let mut others = OTHER_NAMES.iter();
                let (_, tip) = others.find(|(other, _)| *other == name)?;
                Some((*tip).to_owned())
            })
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

/// `--set train.epochs=3` for `--epochs 3`, where one key of the experiment is called so.
fn key_of(option: &str, words: &[OsString]) -> Option<String> {
    let name = option.strip_prefix("--")?;
    let keys = config::keys_named(&name.replace('-', "_"));
    let [key] = &keys[..] else {
        return None;
    };
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let at = words.iter().position(|word| {
        word.strip_prefix(option)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })?;
    let value = match words[at].split_once('=') {
        Some((_, value)) => Some(value),
        None => words
            .get(at + 1)
            .copied()
            .filter(|next| !next.starts_with('-')),
    };
    Some(format!("write `--set {key}={}`", value.unwrap_or("VALUE")))
}
