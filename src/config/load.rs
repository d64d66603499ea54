//! Layers of settings: default, then a preset, then the file, then each `--set key=value`.
//!
//! In: the path of a TOML file of any kind ([`Settings`]) and assignments. Out: [`Loaded`], the merged settings and, for every
//! key that was set, the place it was set at. Unknown keys and wrong types are errors with that place.
//! Relative paths resolve against the file's folder, in `--set` against the working folder; `demo:` paths stay.
//! A `[grid]` makes several experiments of one.
//!
//! The right side of `--set` is a TOML value. A word that is none is taken as a string, because shells and
//! notebooks strip quotes: `--set align.method=random` and `--set data.test=b.tsv` do what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::Experiment;
use super::checked::{Folder, checked_value, one_line, require_known, unknown, wrong_type};
use super::grid::{self, Axis};
use super::keys::{NoElement, join, merge};
use super::preset::{PRESET, forget_max_rows};
use super::preset_effect::PresetEffect;
use super::settings::{GRID, Settings};
use crate::data::source;
use crate::error::{Error, Place, Result};

/// Whose own value takes `train.max_rows` of a preset away: that limits other epochs than these.
const EPOCHS: &str = "train.epochs";

/// An experiment, or other settings, and where each of its keys was set.
#[derive(Debug, Clone)]
pub struct Loaded<T = Experiment> {
    /// What the default run folder is named after: the file's stem, or `demo`.
    pub name: String,
    /// The values that a `[grid]` gave it: `seed = 1, train.batch = 32`; empty without a grid.
    pub cell: String,
    /// The same as assignments, one a key, paths absolute: `seed=1`.
    pub cell_assignments: Vec<String>,
    /// The merged settings.
    pub experiment: T,
    /// Whether a file was read, and not `--set` alone.
    has_file: bool,
    /// The place of every key that a file or `--set` has set.
    pub(super) places: BTreeMap<String, Place>,
    /// What is left of the preset; none without one.
    preset: Option<PresetEffect>,
}

impl<T> Loaded<T> {
    /// Whether an experiment file was read: what it leaves out is at its default on purpose.
    pub fn has_file(&self) -> bool {
        self.has_file
    }

    /// What goes over the preset, to be said when a run starts; a warning where nothing is left of it. None where nothing goes over it.
    pub fn preset_line(&self) -> Option<String> {
        self.preset.as_ref()?.line()
    }

    /// Refuses a preset of `--set` that changes nothing. In a file that is worth a warning: `config.toml` of a run names one
    /// beside everything that went over it.
    pub(super) fn require_preset(&self) -> Result<()> {
        match (&self.preset, self.places.get(PRESET)) {
            (Some(preset), Some(place)) if place.line.is_none() => preset.require_some(place),
            _ => Ok(()),
        }
    }

    /// Whether a file or `--set` gives `key`.
    pub fn sets(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }
}

/// Reads an experiment file (none: the defaults alone) and lays the assignments over it. A `[grid]` is left out:
/// [`load_cells`] reads it.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Input`] with file and line, or the assignment, for
/// TOML that does not parse, an unknown key (with the nearest known one) and a wrong type.
pub fn load(file: Option<&Path>, assignments: &[String]) -> Result<Loaded> {
    load_as(file, assignments)
}

/// As [`load`], of any kind of settings.
///
/// # Errors
/// As [`load`].
pub fn load_as<T: Settings>(file: Option<&Path>, assignments: &[String]) -> Result<Loaded<T>> {
    Layers::read::<T>(file, assignments)?.merged(name(file), &[])
}

/// As [`load`], one experiment a cell of the grid, in its order, the last axis fastest; one alone without a grid.
///
/// # Errors
/// As [`load`]; [`Error::Input`] for a grid of other things than lists of good values.
pub fn load_cells(file: Option<&Path>, assignments: &[String]) -> Result<Vec<Loaded>> {
    let layers = Layers::read::<Experiment>(file, assignments)?;
    let cells = grid::product(&layers.axes)?.into_iter();
    cells.map(|cell| layers.merged(name(file), &cell)).collect()
}

/// Refuses assignments of keys that a command does not read. `read` holds keys and whole sections; `who` is the
/// command. What the experiment file sets is not looked at: it may be that of a run.
///
/// # Errors
/// [`Error::Input`] with the assignment, for an unknown key as well.
pub fn require_read(assignments: &[String], read: &[&str], who: &str) -> Result<()> {
    for assignment in assignments {
        let place = Place::setting(assignment);
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if !grid::holds(key) {
            require_known::<Experiment>(key, &place)?;
        }
        let covers = |part: &&str| {
            let rest = key.strip_prefix(*part);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !read.iter().any(covers) {
            let expected = format!("a key that `{who}` reads");
            let error = Error::input(place, expected, format!("`{key}`"));
            return Err(error.with_hint(format!("`{who}` reads {}", read.join(", "))));
        }
    }
    Ok(())
}

/// Preset, file and assignments, one over the other.
#[derive(Default)]
struct Layers {
    /// Of the file, with absolute paths.
    file: Table,
    /// Key, value and place of each assignment.
    assignments: Vec<(String, Value, Place)>,
    places: BTreeMap<String, Place>,
    axes: Vec<Axis>,
    has_file: bool,
}

impl Layers {
    fn read<T: Settings>(file: Option<&Path>, assignments: &[String]) -> Result<Self> {
        let mut layers = Self::default();
        if let Some(file) = file {
            layers.read_file::<T>(file)?;
            layers.has_file = true;
        }
        for assignment in assignments {
            layers.read_assignment::<T>(assignment)?;
        }
        Ok(layers)
    }

    /// The settings with these values of the axes, one each.
    fn merged<T: Settings>(&self, name: String, cell: &[(&Axis, &Value)]) -> Result<Loaded<T>> {
        let under = self.preset::<T>(cell);
        let merged = self.over::<T>(under.clone(), cell)?;
        let mut places = self.places.clone();
        let of_cell = cell.iter();
        places.extend(of_cell.map(|(axis, _)| (axis.key.clone(), axis.place.clone())));
        let preset = merged.get(PRESET).filter(|_| !under.is_empty());
        let preset = preset.map(|name| {
            let without = self.over::<T>(Table::new(), cell).ok(); // there may be no such stage
            let tables = (&under, &merged, without.as_ref());
            PresetEffect::of(name, tables, (T::keys(), &places))
        });
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
            has_file: self.has_file,
            places,
            preset,
        })
    }

    /// File, assignments and values of the axes over the settings that lie `under` them.
    fn over<T: Settings>(&self, under: Table, cell: &[(&Axis, &Value)]) -> Result<Table> {
        let mut merged = under;
        for (key, value) in &self.file {
            merge(&mut merged, key, value.clone());
        }
        for (key, value, place) in &self.assignments {
            set::<T>(&mut merged, key, value.clone(), place)?;
        }
        for (axis, value) in cell {
            set::<T>(&mut merged, &axis.key, (*value).clone(), &axis.place)?;
        }
        Ok(merged)
    }

    /// What lies under everything else: the settings of the preset that is named last.
    fn preset<T: Settings>(&self, cell: &[(&Axis, &Value)]) -> Table {
        let of_cell = cell.iter().find(|(axis, _)| axis.key == PRESET);
        let assigned = self.assignments.iter().rfind(|(key, ..)| key == PRESET);
        let named = of_cell
            .map(|(_, value)| *value)
            .or(assigned.map(|(_, value, _)| value))
            .or(self.file.get(PRESET));
        let preset = named.and_then(Value::as_str).and_then(T::preset);
        let mut settings = preset.unwrap_or_default();
        let is_set = |key: &str| {
            self.places.contains_key(key) || cell.iter().any(|(axis, _)| axis.key == key)
        };
        if is_set(EPOCHS) {
            forget_max_rows(&mut settings);
        }
        settings
    }

    /// The layer of a file, with absolute paths.
    fn read_file<T: Settings>(&mut self, file: &Path) -> Result<()> {
        let bytes = source::read(file)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = line_at(&bytes, error.valid_up_to());
            let error = Error::input(Place::line(file, line), "UTF-8 text", "other bytes");
            error.with_hint(if_rows(file).unwrap_or("save the file as UTF-8"))
        })?;
        let place = |offset: usize| Place::line(file, line_at(text.as_bytes(), offset));
        let syntax = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            let error = Error::input(place(offset), "TOML", one_line(error.message()));
            match if_rows(file) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        };

        let mut document = DeTable::parse(text).map_err(syntax)?;
        let grid_places = grid::places(document.get_ref(), &place);
        if T::HAS_GRID {
            document.get_mut().remove(GRID);
        }
        let entries = T::keys().entries(document.get_ref());
        for entry in &entries {
            let place = place(entry.start).field(&entry.key);
            if !entry.is_known {
                return Err(unknown::<T>(&entry.key, place));
            }
            self.places.insert(entry.key.clone(), place);
        }
        T::deserialize(toml::de::Deserializer::from(document)).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let entries = entries.iter().filter(|entry| entry.value.contains(&offset));
            let place = match entries.min_by_key(|entry| entry.value.len()) {
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
        if let Some(grid) = layer.remove(GRID) {
            self.axes = grid::axes(grid, &grid_places, &Place::file(file), &folder)?;
        }
        T::keys().each_path(&mut layer, &mut |path| *path = folder.resolve(path));
        self.file = layer;
        Ok(())
    }

    /// The layer of `key=value`, with absolute paths. A value takes the place of a grid's list.
    fn read_assignment<T: Settings>(&mut self, assignment: &str) -> Result<()> {
        let place = Place::setting(assignment);
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| Error::input(place.clone(), "key=value", "no `=`"))?;
        let (key, text) = (key.trim(), text.trim());
        let folder = Folder::Disk(absolute(Path::new(""))?);
        if T::HAS_GRID && grid::holds(key) {
            let value = parse_value(text, &place)?;
            let axes = match key.strip_prefix(grid::PREFIX) {
                Some(key) => vec![Axis::new(key, value, place, &folder)?],
                None => grid::axes(value, &BTreeMap::new(), &place, &folder)?,
            };
            for axis in axes {
                self.axes.retain(|other| other.key != axis.key);
                self.axes.push(axis);
            }
            return Ok(());
        }
        require_known::<T>(key, &place)?;
        let value = checked_value::<T>(key, parse_value(text, &place)?, &place, &folder)?;
        self.axes.retain(|axis| axis.key != key);
        self.remember(key, &value, &place);
        self.assignments.push((key.to_owned(), value, place));
        Ok(())
    }

    /// Notes where a key was set; for a section, where each of the keys was that it sets.
    fn remember(&mut self, key: &str, value: &Value, place: &Place) {
        if let Value::Table(section) = value {
            for (name, value) in section {
                self.remember(&join(key, name), value, place);
            }
        } else {
            let below = join(key, "");
            self.places.retain(|other, _| !other.starts_with(&below)); // of elements that are replaced
            self.places.insert(key.to_owned(), place.clone());
        }
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

/// Lays one value over the others.
fn set<T: Settings>(merged: &mut Table, key: &str, value: Value, place: &Place) -> Result<()> {
    let no_element = |NoElement { list, names }| {
        let expected = match &names[..] {
            [] => format!("a key of {} with [[{list}]]", T::ONE),
            _ => format!("a [[{list}]] that is there: {}", names.join(", ")),
        };
        Error::input(place.clone(), expected, format!("`{key}`")).with_hint(format!(
            "add a [[{list}]] with that name to the {} file",
            T::NAME
        ))
    };
    T::keys().set(merged, key, value).map_err(no_element)
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

/// The way out where a file that is no experiment has the name of one with rows.
fn if_rows(file: &Path) -> Option<&'static str> {
    let ending = file.extension()?.to_str()?;
    ["tsv", "csv", "jsonl", "gz", "zip"].contains(&ending).then_some(
        "name an experiment file; `cipherpet inspect FILES --starter experiment.toml` writes one for files of rows",
    )
}

fn absolute(folder: &Path) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
    Ok(here.join(folder))
}

/// Line of a byte offset, counted from 1.
fn line_at(text: &[u8], offset: usize) -> u64 {
    let before = &text[..offset.min(text.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
