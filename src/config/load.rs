//! Layers of an experiment: default, then the file, then each `--set key=value`.
//!
//! In: the path of a TOML file and assignments. Out: [`Loaded`], the merged experiment and, for every
//! key that was set, the place it was set at. Unknown keys and wrong types are errors with that place.
//! Relative paths resolve against the file's folder, in `--set` against the working folder; `demo:` paths stay.
//! A `[grid]` makes several experiments of one.
//!
//! The right side of `--set` is a TOML value. A word that is none is taken as a string, because shells and
//! notebooks strip quotes: `--set align.method=random` and `--set data.test=b.tsv` do what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::grid::{self, Axis};
use super::{Experiment, KEYS};
use crate::data::source;
use crate::error::{Error, Place, Result};

/// Keys whose values are paths. `data.valid` is one too, unless it is one of the words.
const PATH_KEYS: [&str; 8] = [
    "data.train",
    "data.test",
    "data.unlabelled",
    "checkpoint.dir",
    "align.counts",
    "align.file",
    "align.plain",
    "align.anchors",
];

/// An experiment, and where each of its keys was set.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the default run folder is named after: the file's stem, or `demo`.
    pub name: String,
    /// The values that a `[grid]` gave it: `seed = 1, train.batch = 32`; empty without a grid.
    pub cell: String,
    /// The same as assignments, one a key, paths absolute: `seed=1`.
    pub cell_assignments: Vec<String>,
    /// The merged settings.
    pub experiment: Experiment,
    /// The place of every key that a file or `--set` has set.
    pub(super) places: BTreeMap<String, Place>,
}

/// Reads an experiment file (none: the defaults alone) and lays the assignments over it. A `[grid]` is left out:
/// [`load_cells`] reads it.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Input`] with file and line, or the assignment, for
/// TOML that does not parse, an unknown key (with the nearest known one) and a wrong type.
pub fn load(file: Option<&Path>, assignments: &[String]) -> Result<Loaded> {
    Layers::read(file, assignments)?.experiment(name(file), &[])
}

/// As [`load`], one experiment a cell of the grid, in its order, the last axis fastest; one alone without a grid.
///
/// # Errors
/// As [`load`]; [`Error::Input`] for a grid of other things than lists of good values.
pub fn load_cells(file: Option<&Path>, assignments: &[String]) -> Result<Vec<Loaded>> {
    let layers = Layers::read(file, assignments)?;
    let cells = grid::product(&layers.axes).into_iter();
    cells
        .map(|cell| layers.experiment(name(file), &cell))
        .collect()
}

/// File and assignments, one over the other.
#[derive(Default)]
struct Layers {
    merged: Table,
    places: BTreeMap<String, Place>,
    axes: Vec<Axis>,
}

impl Layers {
    fn read(file: Option<&Path>, assignments: &[String]) -> Result<Self> {
        let mut layers = Self::default();
        if let Some(file) = file {
            layers.read_file(file)?;
        }
        for assignment in assignments {
            layers.read_assignment(assignment)?;
        }
        Ok(layers)
    }

    /// The experiment with these values of the axes, one each.
    fn experiment(&self, name: String, cell: &[(&Axis, &Value)]) -> Result<Loaded> {
        let (mut merged, mut places) = (self.merged.clone(), self.places.clone());
        for (axis, value) in cell {
            merge(&mut merged, layer_of(&axis.key, (*value).clone()));
            places.insert(axis.key.clone(), axis.place.clone());
        }
        let experiment = Value::Table(merged).try_into().map_err(|error| {
            Error::Unexpected(format!("layers of the config do not merge: {error}"))
        })?;
        let show = |between: &str| -> Vec<String> {
            cell.iter()
                .map(|(axis, value)| format!("{}{between}{value}", axis.key))
                .collect()
        };
        Ok(Loaded {
            name,
            cell: show(" = ").join(", "),
            cell_assignments: show("="),
            experiment,
            places,
        })
    }

    /// The layer of a file, with absolute paths.
    fn read_file(&mut self, file: &Path) -> Result<()> {
        let bytes = source::read(file)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = line_at(&bytes, error.valid_up_to());
            Error::input(Place::line(file, line), "UTF-8 text", "other bytes")
        })?;
        let place = |offset: usize| Place::line(file, line_at(text.as_bytes(), offset));
        let syntax = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            Error::input(place(offset), "TOML", one_line(error.message()))
        };

        let mut document = DeTable::parse(text).map_err(syntax)?;
        let entries = entries(document.get_ref());
        let places_of_grid = entries.iter().filter(|entry| grid::holds(&entry.key));
        let places_of_grid: BTreeMap<_, _> = places_of_grid
            .map(|entry| (entry.key.as_str(), place(entry.key_start).field(&entry.key)))
            .collect();
        for entry in entries.iter().filter(|entry| !grid::holds(&entry.key)) {
            let place = place(entry.key_start).field(&entry.key);
            require_known(&entry.key, &place)?;
            self.places.insert(entry.key.clone(), place);
        }
        document.get_mut().remove(grid::SECTION);
        Experiment::deserialize(toml::de::Deserializer::from(document)).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let entry = entries.iter().find(|entry| entry.value.contains(&offset));
            let place = match entry {
                Some(entry) => place(offset).field(&entry.key),
                None => place(offset),
            };
            wrong_type(place, error.message())
        })?;
        let mut layer: Table = toml::from_str(text).map_err(syntax)?;
        let folder = if source::is_embedded(file) {
            Folder::Embedded
        } else {
            let folder = file.parent().unwrap_or(Path::new(""));
            Folder::Disk(absolute(folder)?)
        };
        if let Some(grid) = layer.remove(grid::SECTION) {
            self.axes = grid::axes(grid, &places_of_grid, &Place::file(file), &folder)?;
        }
        resolve_paths(&mut layer, &folder);
        merge(&mut self.merged, layer);
        Ok(())
    }

    /// The layer of `key=value`, with absolute paths. A value takes the place of a grid's list.
    fn read_assignment(&mut self, assignment: &str) -> Result<()> {
        let place = Place::file(format!("--set {assignment}"));
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| Error::input(place.clone(), "key=value", "no `=`"))?;
        let (key, text) = (key.trim(), text.trim());
        let folder = Folder::Disk(absolute(Path::new(""))?);
        if let Some(key) = key.strip_prefix(grid::PREFIX) {
            let axis = Axis::new(key, parse_value(text, &place)?, place, &folder)?;
            self.axes.retain(|other| other.key != axis.key);
            self.axes.push(axis);
            return Ok(());
        }
        require_known(key, &place)?;
        let layer = checked_layer(key, parse_value(text, &place)?, &place, &folder)?;
        self.axes.retain(|axis| axis.key != key);
        self.places.insert(key.to_owned(), place);
        merge(&mut self.merged, layer);
        Ok(())
    }
}

fn name(file: Option<&Path>) -> String {
    match file {
        Some(file) if !source::is_embedded(file) => file.file_stem().map_or_else(
            || "run".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        ),
        _ => "demo".to_owned(),
    }
}

/// A table of one key.
fn layer_of(key: &str, value: Value) -> Table {
    match key.split_once('.') {
        Some((section, name)) => {
            let inner = Table::from_iter([(name.to_owned(), value)]);
            Table::from_iter([(section.to_owned(), Value::Table(inner))])
        }
        None => Table::from_iter([(key.to_owned(), value)]),
    }
}

/// A table of one key whose value has the type the key wants, with absolute paths.
pub(super) fn checked_layer(
    key: &str,
    value: Value,
    place: &Place,
    folder: &Folder,
) -> Result<Table> {
    let mut layer = layer_of(key, value);
    Value::Table(layer.clone())
        .try_into::<Experiment>()
        .map_err(|error| wrong_type(place.clone(), error.message()))?;
    resolve_paths(&mut layer, folder);
    Ok(layer)
}

/// The right side of an assignment: TOML, or else a bare word as a string.
fn parse_value(text: &str, place: &Place) -> Result<Value> {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    match parsed {
        Ok(mut table) if table.len() == 1 => {
            let value = table.remove("value");
            value.ok_or_else(|| Error::Unexpected("a parsed value went missing".to_owned()))
        }
        // What opens like TOML was meant as TOML.
        _ if text.is_empty() || text.starts_with(['[', '{', '"', '\'']) => {
            let hint = "put the whole in single quotes, words inside a list in double ones: \
                        --set 'data.train=[\"a.tsv\", \"b.tsv\"]'";
            let found = if text.is_empty() {
                "nothing"
            } else {
                "a part of one"
            };
            Err(Error::input(place.clone(), "a TOML value", found).with_hint(hint))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A key of a document, with the byte range of its value.
struct Entry {
    key: String,
    key_start: usize,
    value: std::ops::Range<usize>,
}

/// All keys of a document: those at the top, and one level down.
fn entries(document: &DeTable) -> Vec<Entry> {
    let mut found = Vec::new();
    for (name, value) in document {
        let section = match value.get_ref() {
            DeValue::Table(section) => section,
            _ => &DeTable::new(),
        };
        for (key, value) in section {
            found.push(Entry {
                key: format!("{}.{}", name.get_ref(), key.get_ref()),
                key_start: key.span().start,
                value: value.span(),
            });
        }
        let is_known_section = is_section(name.get_ref());
        if !matches!(value.get_ref(), DeValue::Table(_)) || !is_known_section {
            found.push(Entry {
                key: name.get_ref().to_string(),
                key_start: name.span().start,
                value: value.span(),
            });
        }
    }
    found.sort_by_key(|entry| entry.key_start); // the first mistake is the one reported
    found
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|known| {
        known
            .split_once('.')
            .is_some_and(|(section, _)| section == name)
    })
}

/// Fails for a key that no experiment has. A section's name passes: its type is checked later.
pub(super) fn require_known(key: &str, place: &Place) -> Result<()> {
    if KEYS.contains(&key) || is_section(key) {
        return Ok(());
    }
    let error = Error::input(place.clone(), "a known key", format!("`{key}`"));
    Err(error.with_hint(match nearest(key) {
        Some(known) => format!("did you mean `{known}`?"),
        None => siblings(key),
    }))
}

/// The known key that is at most two slips of the keyboard away, or has the same name in another section.
fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let section = |key: &str| key.split_once('.').map(|(section, _)| section.to_owned());
    KEYS.iter()
        .map(|known| {
            let whole = strsim::damerau_levenshtein(key, known);
            let elsewhere = usize::from(section(key) != section(known));
            let name = strsim::damerau_levenshtein(&last(key), &last(known)) + elsewhere;
            (whole.min(name), *known)
        })
        .min_by_key(|(distance, _)| *distance) // the first in KEYS order where several are as near
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, known)| known)
}

/// The keys one could have meant, where none is near.
fn siblings(key: &str) -> String {
    let section = key.split_once('.').map_or("", |(section, _)| section);
    let known: Vec<&str> = KEYS
        .iter()
        .filter_map(|known| known.split_once('.'))
        .filter(|(of, _)| *of == section)
        .map(|(_, name)| name)
        .collect();
    if known.is_empty() {
        "sections are data, folds, vocab, checkpoint, align, model, objective, train, predict, submit and grid; \
         `seed` stands above them"
            .to_owned()
    } else {
        format!("[{section}] has {}", known.join(", "))
    }
}

/// Turns serde's `invalid type: string "x", expected usize` into our own form.
fn wrong_type(place: Place, message: &str) -> Error {
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
        "data did not match any variant of untagged enum Column" => "a column number or name",
        _ if expected.starts_with("struct ") => "a section",
        other => other,
    };
    Error::input(place, expected, found)
}

fn merge(onto: &mut Table, layer: Table) {
    for (name, value) in layer {
        match (onto.get_mut(&name), value) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
            (_, value) => {
                onto.insert(name, value);
            }
        }
    }
}

/// What relative paths are relative to.
pub(super) enum Folder {
    Disk(PathBuf),
    Embedded,
}

impl Folder {
    fn resolve(&self, path: &str) -> String {
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

fn resolve_paths(layer: &mut Table, folder: &Folder) {
    for key in PATH_KEYS {
        if let Some(value) = lookup(layer, key) {
            match value {
                Value::String(path) => *path = folder.resolve(path),
                Value::Array(paths) => {
                    for path in paths {
                        if let Value::String(path) = path {
                            *path = folder.resolve(path);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    if let Some(Value::String(valid)) = lookup(layer, "data.valid")
        && !is_split(valid)
    {
        *valid = folder.resolve(valid);
    }
}

/// Takes every path out of a config: what is left are the settings, wherever the files lie.
pub fn remove_paths(config: &mut Table) {
    let valid = lookup(config, "data.valid").and_then(|valid| valid.as_str());
    let valid = valid.filter(|valid| !is_split(valid)).map(|_| "data.valid");
    for key in PATH_KEYS.into_iter().chain(valid) {
        if let Some((section, name)) = key.split_once('.')
            && let Some(Value::Table(section)) = config.get_mut(section)
        {
            section.remove(name);
        }
    }
}

/// A value of `data.valid` that is a word for a split and no path.
fn is_split(valid: &str) -> bool {
    matches!(valid, "row10" | "group" | "none")
}

fn lookup<'a>(layer: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (section, name) = key.split_once('.')?;
    layer.get_mut(section)?.get_mut(name)
}

fn absolute(folder: &Path) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
    Ok(here.join(folder))
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

/// Line of a byte offset, counted from 1.
fn line_at(text: &[u8], offset: usize) -> u64 {
    let before = &text[..offset.min(text.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
