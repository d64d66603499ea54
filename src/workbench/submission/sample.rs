//! The organisers' sample submission: which header, ids, order and columns a submission has.
//!
//! In: the file that `submit.like` names, a table with a header, an id column and one column or more beside it. Out: a
//! [`Sample`], and from it the [`Form`] of a submission. Which rows its ids stand for is said by [`super::lines`]. Computes no score.
//!
//! Whether the numbers are probabilities: several columns hold them; one column does where the sample's values are all from 0
//! to 1 and not all written as whole numbers, or is called `prob…`, but for ordinals; else `submit.probability` says so, and a
//! remark names it where all values are 0 and 1.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::form::{Columns, Form};
use crate::config::SubmitConfig;
use crate::data::label_field::{finite, is_missing};
use crate::data::table::{Quoting, Table, quoted};
use crate::data::{LabelKind, Task, source};
use crate::error::{Error, Place, Result};

/// The way out where a column tells no rows apart.
const ID_COLUMN: &str = "submit.id_column names the column of the ids where it is not the first";

/// The way out where a sample asks for names and the task has numbers.
pub(super) const CLASSES_HINT: &str = "class names need `task.labels = \"classes\"`";

/// Values to compare with the classes of a task; more are numbers.
const MOST_VALUES: usize = 2000;

/// What the sample holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Where it stands.
    pub path: PathBuf,
    /// Between columns.
    pub delimiter: u8,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Which of them holds the ids.
    pub id: usize,
    /// One a row, each once.
    pub ids: Vec<String>,
    /// The line of each id.
    pub lines: Vec<Place>,
    /// The first value beside the ids that is no number, and where it stands. One that is left blank is none.
    name: Option<(String, Place)>,
    /// The first different values, where there is one column beside the ids, and where each stands first.
    values: Vec<(String, Place)>,
    /// Some values are numbers.
    has_numbers: bool,
    /// All values are from 0 to 1.
    all_within: bool,
    /// All are written as whole numbers.
    all_whole: bool,
}

impl Sample {
    /// Reads the sample. `submit.id_column` says which column holds the ids where the header has it, else it is `id`, or the first.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Input`] for a file without such a header, for a row with another number of fields or an id
    /// that is not its own, and for names in `submit` that the header does not have.
    pub fn read(path: &Path, submit: &SubmitConfig) -> Result<Self> {
        let bytes = source::read(path)?;
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        let delimiters = [b'\t', b',', b';'];
        let found = delimiters.into_iter().find(|byte| first.contains(byte));
        let delimiter = found.unwrap_or(b',');
        let mut table = Table::new(path, &bytes, delimiter, quoting(delimiter));
        if !table.advance()? {
            return Err(no_header(Place::file(path), "an empty file"));
        }
        let header: Vec<String> = table.fields().iter().map(str::to_owned).collect();
        let shown = || quoted(&header.join(","));
        if header.len() < 2 {
            return Err(no_header(table.place(), shown()));
        }
        agrees(&header, submit, table.place())?;
        let names = [submit.id_column.as_deref(), Some(SubmitConfig::ID)];
        let at = |name: &str| header.iter().position(|column| column == name);
        let id = names.into_iter().flatten().find_map(at);
        let mut sample = Self {
            path: path.to_owned(),
            delimiter,
            id: id.unwrap_or(0),
            header,
            ids: Vec::new(),
            lines: Vec::new(),
            name: None,
            values: Vec::new(),
            has_numbers: false,
            all_within: true,
            all_whole: true,
        };
        sample.read_rows(&mut table)?;
        Ok(sample)
    }

    fn read_rows(&mut self, table: &mut Table<'_>) -> Result<()> {
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut values: HashSet<String> = HashSet::new();
        while table.advance()? {
            let fields = table.fields();
            if fields.len() != self.header.len() {
                let expected = format!("{} fields, as the header has", self.header.len());
                return Err(Error::input(table.place(), expected, fields.len()));
            }
            let id = fields[self.id].to_owned();
            let place = || table.place().field(&self.header[self.id]);
            if id.is_empty() {
                return Err(Error::input(place(), "an id", "nothing").with_hint(ID_COLUMN));
            }
            if let Some(before) = seen.insert(id.clone(), table.place()) {
                let found = format!("{}, which stands at {before} too", quoted(&id));
                return Err(Error::input(place(), "each id once", found).with_hint(ID_COLUMN));
            }
            self.ids.push(id);
            self.lines.push(table.place());
            for (column, text) in (0..).zip(fields).filter(|(column, _)| *column != self.id) {
                let is_value = self.header.len() == 2 && !is_missing(text.trim());
                if is_value && self.values.len() < MOST_VALUES && values.insert(text.to_owned()) {
                    let place = table.place().field(&self.header[column]);
                    self.values.push((text.to_owned(), place));
                }
                match finite(text.trim()) {
                    Some(number) => {
                        self.has_numbers = true;
                        self.all_within &= (0.0..=1.0).contains(&number);
                        // `0.0` too: who wants whole numbers writes none with a point.
                        self.all_whole &= number.fract() == 0.0 && !text.contains('.');
                    }
                    None if self.name.is_none() && !is_missing(text.trim()) => {
                        let place = table.place().field(&self.header[column]);
                        self.name = Some((text.to_owned(), place));
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// The name of the column of the ids.
    pub fn id_name(&self) -> &str {
        &self.header[self.id]
    }

    /// The names of the columns beside the ids.
    pub fn others(&self) -> Vec<&str> {
        let named = self.header.iter().enumerate();
        let others = named.filter(|(column, _)| *column != self.id);
        others.map(|(_, name)| name.as_str()).collect()
    }

    /// Whether its values are numbers, but for those that are left blank.
    pub fn has_only_numbers(&self) -> bool {
        self.has_numbers && self.name.is_none()
    }

    /// The first of its values, where none of them is a number.
    pub fn only_names(&self) -> Option<&str> {
        let (name, _) = self.name.as_ref().filter(|_| !self.has_numbers)?;
        Some(name)
    }

    /// Whether numbers are from 0 to 1. Without a task they are taken for those of a class.
    pub fn has_probabilities(&self, submit: &SubmitConfig, task: Option<&Task>) -> bool {
        let is_ordinal = task.is_some_and(|task| task.labels == LabelKind::Ordinal);
        let mut others = self.others().into_iter();
        let is_named_so = others.any(|name| name.to_ascii_lowercase().starts_with("prob"));
        let has_fractions = self.has_only_numbers() && self.all_within && !self.all_whole;
        let asks = has_fractions || is_named_so && self.name.is_none();
        submit.probability || self.header.len() > 2 || asks && !is_ordinal
    }

    /// The columns that it asks for.
    ///
    /// # Errors
    /// [`Error::Input`] where its columns are neither one nor the classes of the task, and where it holds names and the task has
    /// none.
    pub fn form(&self, submit: &SubmitConfig, task: &Task) -> Result<Form> {
        let others = self.others();
        let number = |name: &&str| task.classes.iter().position(|class| class == name);
        let each: Option<Vec<usize>> = others.iter().map(number).collect();
        let all = each.filter(|each| {
            let mut sorted = each.clone();
            sorted.sort_unstable();
            !each.is_empty() && sorted.into_iter().eq(0..task.classes.len())
        });
        let is_class = others.iter().any(|name| number(name).is_some());
        let columns = match (all, task.labels) {
            (Some(each), _) => Columns::Each(each),
            (None, LabelKind::Classes) if others.len() == 1 && !is_class => Columns::Label,
            (None, LabelKind::Binary | LabelKind::Ordinal) if others.len() == 1 => {
                self.require_numbers(task)?;
                Columns::Score
            }
            _ => {
                let one = match task.labels {
                    LabelKind::Binary | LabelKind::Ordinal => "one column of scores",
                    LabelKind::Classes => "one column of class names",
                    LabelKind::Multilabel => "a column a label",
                };
                let expected = match task.classes.as_slice() {
                    [] => one.to_owned(),
                    names => format!("{one}, or columns named {}", names.join(", ")),
                };
                let place = Place::line(&self.path, 1);
                return Err(
                    Error::input(place, expected, quoted(&others.join(","))).with_hint(ID_COLUMN)
                );
            }
        };
        let is_each = matches!(columns, Columns::Each(_));
        Ok(Form {
            columns,
            probability: is_each || self.has_probabilities(submit, Some(task)),
        })
    }

    /// Refuses names where the task has one score a row.
    fn require_numbers(&self, task: &Task) -> Result<()> {
        let Some((name, place)) = &self.name else {
            return Ok(());
        };
        let labels = match task.labels {
            LabelKind::Ordinal => "numbers as labels",
            _ => "labels 0 and 1",
        };
        let column = place.field.as_deref().unwrap_or_default();
        let expected = format!("numbers in column `{column}`, as the task has {labels}");
        let found = format!("names ({})", quoted(name));
        Err(Error::input(place.clone(), expected, found).with_hint(CLASSES_HINT))
    }

    /// A remark where something else may be wanted than what is written: where the values are 0 and 1, or whole grades, and scores
    /// are written as they are; and where a value is no class of the task.
    pub fn remark(&self, form: &Form, task: &Task) -> Option<String> {
        if form.columns == Columns::Label {
            return self.other_class(task);
        }
        if form.columns != Columns::Score || form.probability {
            return None;
        }
        let has_whole = self.has_only_numbers() && self.all_whole;
        match task.labels {
            LabelKind::Binary if has_whole && self.all_within => Some(
                "submission: the sample holds whole numbers from 0 to 1; scores are written as the model gives them; \
                 submit.probability = true writes 0 to 1"
                    .to_owned(),
            ),
            LabelKind::Ordinal if has_whole => Some(
                "submission: the sample holds whole numbers; scores are written as the model gives them, with fractions: \
                 round them where whole grades are asked for"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// A remark on the first value beside the ids that is no class of the task. It may only hold a place.
    fn other_class(&self, task: &Task) -> Option<String> {
        let is_other = |(value, _): &&(String, Place)| !task.classes.contains(value);
        let (value, place) = self.values.iter().find(is_other)?;
        Some(format!(
            "warning: {place}: {} is none of the classes of the training rows, which are written: {}",
            quoted(value),
            some_of(&task.classes)
        ))
    }
}

/// Names of classes, of many the first ones.
fn some_of(classes: &[String]) -> String {
    const MOST: usize = 10;
    let shown = classes.iter().take(MOST).map(|name| quoted(name));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match classes.len() {
        n if n > MOST => format!("{shown}, … ({n} classes)"),
        _ => shown,
    }
}

/// Fields stand in quotes where the delimiter may be a part of them.
pub(super) fn quoting(delimiter: u8) -> Quoting {
    match delimiter {
        b'\t' => Quoting::Off,
        _ => Quoting::On,
    }
}

fn no_header(place: Place, found: impl ToString) -> Error {
    let expected = "a header with an id column and one column or more beside it";
    Error::input(place, expected, found.to_string())
        .with_hint("one score a line needs no sample: submit.format = \"plain\"")
}

/// Refuses a name that the user has set and the header does not have, and a row of values in its place. `submit.id_column` may be
/// a column of the test file.
fn agrees(header: &[String], submit: &SubmitConfig, place: Place) -> Result<()> {
    let (key, name) = ("submit.score_column", &submit.score_column);
    let is_default = *name == SubmitConfig::default().score_column;
    let shown = quoted(&header.join(","));
    if !is_default && !header.contains(name) {
        let expected = format!("a column `{name}`, as {key} says");
        return Err(Error::input(place, expected, shown).with_hint(format!(
            "leave {key} out: the sample of submit.like names the columns"
        )));
    }
    let numbers = header.iter().filter(|name| name.contains('.'));
    if numbers.clone().any(|name| name.parse::<f64>().is_ok()) {
        return Err(no_header(place, shown));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
