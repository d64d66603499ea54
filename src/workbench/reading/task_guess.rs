//! Which task the files of a competition hold, guessed from their columns.
//!
//! In: the files, and how the settings say they are read. Out: the [`ExampleFormat`] to read them with, and why in a line;
//! or a refusal that names the key that decides. Looks at columns only; the reader checks the rows.
//!
//! The rules, in order:
//! 1. `task.kind`, `task.labels` and the columns of the settings stand, where they are not at their defaults.
//! 2. The file with the most columns is the one with labels; of several, the first whose labels differ.
//! 3. All columns behind the first, or behind the second, hold 0 and 1, and there are two or more: several labels.
//! 4. A column of different whole numbers, one a row, holds ids. Beside such a column, under a header without usual names, with
//!    more than three columns, and where the third is a text, a column with several tokens in some rows is a text, and what remains is the label.
//! 5. Three columns: two texts and a label. Two columns: the second is a label where half of it or more cannot be tokens, or
//!    where it holds few different values of one token each; it is a text where it has several tokens a row.
//! 6. A label of 0 and 1 is binary; one with fractions, or one that the header calls a score, is ordinal; fields with
//!    [`ExampleFormat::label_separator`] whose parts come again hold several labels; few different values are classes.

mod column_profile;

use std::path::{Path, PathBuf};

use crate::data::classes::MAX_CLASSES;
use crate::data::ids::is_name_of_ids;
use crate::data::{
    Column, Dictionary, ExampleFormat, LabelColumns, LabelKind, TextKind, TokenKind, column_names,
    source,
};
use crate::error::{Error, Place, Result};
use column_profile::ColumnProfile;

/// Different values that are few, however few rows there are.
const FEW: usize = 20;

/// Names in headers of numbers whose order counts.
const ORDINAL_NAMES: [&str; 6] = ["score", "similarity", "rating", "grade", "stars", "level"];

/// What else two classes can be.
const TWO_CLASSES: &str = "write them as 0 and 1 to have AUC";

/// What the files seem to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// How to read them.
    pub format: ExampleFormat,
    /// `pairs of texts with 3 classes: …`
    pub why: String,
}

/// Which columns are what, from 0.
struct Layout {
    kind: TextKind,
    texts: Vec<usize>,
    /// The label, or those of several.
    labels: Vec<usize>,
    /// Neither place nor name tells as much, so the format has to.
    is_new: bool,
}

/// Guesses the task of `files`, which are read as `format` says where it says more than the defaults.
///
/// # Errors
/// [`Error::Input`] where the task cannot be told, with the key that decides; [`Error::Io`], and those of the table.
pub fn guess(files: &[PathBuf], format: &ExampleFormat) -> Result<Guess> {
    format.check()?;
    let mut guess = Guess {
        format: format.clone(),
        why: "as the settings say".to_owned(),
    };
    let file = widest(files, format)?;
    let Some(file) = file.filter(|_| !matches!(format.label, Some(LabelColumns::Several(_))))
    else {
        return Ok(guess);
    };
    let layout = file.layout(format);
    let layout = layout.ok_or_else(|| file.undecided())?;
    file.require_names_once(&layout, format)?;
    file.write_texts(&layout, &mut guess.format);
    let rows_are = match layout.kind {
        TextKind::Pair => "pairs of texts",
        TextKind::Single => "single texts",
    };
    let texts = file.describe_texts(&layout);
    let (with, because) = match layout.labels[..] {
        [] => {
            guess.why = format!("{rows_are} without labels: {texts} and no other");
            return Ok(guess);
        }
        [column] => {
            if layout.is_new {
                guess.format.label = Some(LabelColumns::One(file.column(column)));
            }
            if format.labels == LabelKind::Binary {
                let (labels, with, holds) = file.label_kind(column, format)?;
                guess.format.labels = labels;
                (with, format!("{} holds {holds}", file.column_name(column)))
            } else {
                let with = format!("labels = \"{}\"", format.labels.name());
                (with, "the settings name the kind of label".to_owned())
            }
        }
        [first, .., last] => {
            let labels = layout.labels.iter();
            let columns = labels.map(|&column| file.column(column)).collect();
            guess.format.labels = LabelKind::Multilabel;
            guess.format.label = Some(LabelColumns::Several(columns));
            let with = format!("any of {} labels", layout.labels.len());
            let because = format!("columns {} to {} hold 0 and 1", first + 1, last + 1);
            (with, because)
        }
    };
    guess.why = format!("{rows_are} with {with}: {texts}, and {because}");
    Ok(guess)
}

/// As [`guess`], for a job that looks at texts alone: whatever else the files hold is no reason to refuse them.
///
/// # Errors
/// As [`guess`], but for those of the label.
pub fn guess_texts(files: &[PathBuf], format: &ExampleFormat) -> Result<ExampleFormat> {
    format.check()?;
    let mut guessed = format.clone();
    if let Some(file) = widest(files, format)? {
        // Two columns of which the second may be a label: read as they come, they are two texts.
        if let Some(layout) = file.layout(format) {
            file.require_names_once(&layout, format)?;
            file.write_texts(&layout, &mut guessed);
            if layout.is_new
                && let [column] = layout.labels[..]
            {
                guessed.label = Some(LabelColumns::One(file.column(column)));
            }
        }
    }
    Ok(guessed)
}

/// The file with the most columns; of several the first whose labels differ, as a test file may have a label that stands in for
/// the unknown ones. `None` where no file has rows or a header.
fn widest(files: &[PathBuf], format: &ExampleFormat) -> Result<Option<FileProfile>> {
    let mut widest: Option<FileProfile> = None;
    for path in files {
        let file = FileProfile::of(path, format)?;
        let is_better = widest.as_ref().is_none_or(|before| {
            let (width, width_before) = (file.columns.len(), before.columns.len());
            let tells_more = || file.labels_differ(format) && !before.labels_differ(format);
            width > width_before || width == width_before && tells_more()
        });
        if is_better && !file.columns.is_empty() {
            widest = Some(file);
        }
    }
    Ok(widest)
}

/// The columns of one file.
struct FileProfile {
    path: PathBuf,
    header: Option<Vec<String>>,
    /// Where the header stands, or the file.
    place: Place,
    rows: usize,
    columns: Vec<ColumnProfile>,
}

impl FileProfile {
    fn of(path: &Path, format: &ExampleFormat) -> Result<Self> {
        let bytes = source::read(path)?;
        let mut table = format.table(path, &bytes);
        let mut profile = Self {
            path: path.to_owned(),
            header: None,
            place: Place::file(path),
            rows: 0,
            columns: Vec::new(),
        };
        if format.header && table.advance()? {
            profile.header = Some(table.fields().iter().map(str::to_owned).collect());
            profile.place = table.place();
            // Those of a header alone, so that the reader finds its texts and misses the rows.
            profile.columns = vec![ColumnProfile::default(); table.fields().len()];
        }
        let dictionary = Dictionary::new(TokenKind::Number);
        while table.advance()? {
            if profile.rows == 0 {
                profile.columns = vec![ColumnProfile::default(); table.fields().len()];
            }
            profile.rows += 1;
            for (column, field) in profile.columns.iter_mut().zip(table.fields()) {
                column.add(field, format, &dictionary);
            }
        }
        Ok(profile)
    }

    /// Whether it has labels, and more than one.
    fn labels_differ(&self, format: &ExampleFormat) -> bool {
        let labels = self
            .layout(format)
            .map_or_else(Vec::new, |layout| layout.labels);
        let mut labels = labels.into_iter();
        labels.any(|column| self.columns[column].distinct.len() > 1)
    }

    /// Refuses names that come twice where columns are to be told by them; those that the settings tell by number are not.
    fn require_names_once(&self, layout: &Layout, format: &ExampleFormat) -> Result<()> {
        let Some(header) = self.header.as_ref().filter(|_| layout.is_new) else {
            return Ok(()); // the reader sees to it
        };
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let texts = layout.texts.iter();
        let texts = texts.zip([("text_a", &format.text_a), ("text_b", &format.text_b)]);
        let texts = texts.filter(|(_, (_, set))| !matches!(set, Some(Column::Number(_))));
        let texts = texts.map(|(&column, (key, _))| (column, key));
        let labels = layout.labels.iter().map(|&column| (column, "label"));
        for (column, key) in texts.chain(labels) {
            column_names::require_once(&names, column, key, self.place.clone())?;
        }
        Ok(())
    }

    /// Where a column of the settings stands, from 0.
    fn position(&self, column: &Column) -> Option<usize> {
        let position = match column {
            Column::Number(number) => Some(number - 1),
            Column::Name(name) => self.header.as_ref()?.iter().position(|field| field == name),
        };
        position.filter(|&column| column < self.columns.len())
    }

    fn column(&self, column: usize) -> Column {
        let header = self.header.as_deref().unwrap_or_default();
        match header.get(column) {
            // A name that comes twice is no name.
            Some(name) if header.iter().filter(|other| *other == name).count() == 1 => {
                Column::Name(name.clone())
            }
            _ => Column::Number(column + 1),
        }
    }

    /// `column 3`, or its name in the header.
    fn column_name(&self, column: usize) -> String {
        match self.column(column) {
            Column::Number(number) => format!("column {number}"),
            Column::Name(name) => format!("column `{name}`"),
        }
    }

    fn refusal(&self, column: usize, expected: &str, found: String, hint: &str) -> Error {
        let field = match self.column(column) {
            Column::Number(number) => number.to_string(),
            Column::Name(name) => name,
        };
        Error::input(Place::file(&self.path).field(field), expected, found).with_hint(hint)
    }

    /// Writes kind and texts into `format`.
    fn write_texts(&self, layout: &Layout, format: &mut ExampleFormat) {
        format.kind = layout.kind;
        if layout.is_new {
            let mut columns = layout.texts.iter().map(|&column| self.column(column));
            format.text_a = columns.next();
            format.text_b = columns.next();
        }
    }

    /// `two text columns`, or which ones where that was found out.
    fn describe_texts(&self, layout: &Layout) -> String {
        let number = match layout.kind {
            TextKind::Pair => "two text columns",
            TextKind::Single => "one text column",
        };
        if !layout.is_new {
            return number.to_owned();
        }
        let names = layout.texts.iter().map(|&column| self.column_name(column));
        format!("{number} ({})", names.collect::<Vec<_>>().join(", "))
    }

    /// Rules 1 and 3 to 5; `None` where the second of two columns may be a text or a label.
    fn layout(&self, format: &ExampleFormat) -> Option<Layout> {
        let width = self.columns.len();
        if let Some(found) = self.by_names(format) {
            return Some(found);
        }
        let by_place = |kind: TextKind, labels: Vec<usize>| Layout {
            kind,
            texts: (0..kind.n_texts()).collect(),
            labels,
            is_new: false,
        };
        let texts_are_set = format.text_a.is_some() || format.text_b.is_some();
        if format.kind == TextKind::Single || format.label.is_some() || texts_are_set {
            let label = match &format.label {
                Some(LabelColumns::One(column)) => self.position(column),
                _ => self.position(&Column::Number(format.kind.n_texts() + 1)),
            };
            return Some(by_place(format.kind, label.into_iter().collect()));
        }
        let has_ids = (0..width).any(|column| self.is_ids(column));
        if has_ids && let Some(found) = self.by_content() {
            return Some(found);
        }
        for (kind, n_texts) in [(TextKind::Single, 1), (TextKind::Pair, 2)] {
            let behind = self.columns.get(n_texts..).unwrap_or_default();
            if behind.len() > 1 && behind.iter().all(|column| column.is_zero_one()) {
                return Some(by_place(kind, (n_texts..width).collect()));
            }
        }
        // A text in the place of the label: the label may stand first.
        let third = self.columns.get(2);
        let is_text = third.is_some_and(|third| third.has_texts(self.rows));
        let is_told_by_place = self.header.is_none() && width <= 3 && !is_text;
        if !is_told_by_place && let Some(found) = self.by_content() {
            return Some(found);
        }
        match self.columns[..] {
            [ref text] if text.has_texts(self.rows) => Some(by_place(TextKind::Single, vec![])),
            [] | [_] => Some(by_place(TextKind::Pair, vec![])),
            [ref text, ref other] => match other.is_label(text, self.rows) {
                Some(true) => Some(by_place(TextKind::Single, vec![1])),
                Some(false) => Some(by_place(TextKind::Pair, vec![])),
                None => None,
            },
            _ => Some(by_place(TextKind::Pair, vec![2])),
        }
    }

    fn undecided(&self) -> Error {
        let n = self.columns.get(1).map_or(0, |other| other.distinct.len());
        let found = format!("{n} different values of one token in {} rows", self.rows);
        let hint =
            "set `task.kind = \"single\"` if it is a label, or `data.label = 3` if it is a text";
        let expected = "a second text, or a label of few different values";
        self.refusal(1, expected, found, hint)
    }

    /// By the names in the header: texts that are found by theirs, or set, and the label; one that has no usual name is what
    /// else there is.
    fn by_names(&self, format: &ExampleFormat) -> Option<Layout> {
        // A row may have fewer fields, which its reader refuses.
        let named = self.header.as_ref()?.iter().take(self.columns.len());
        let names: Vec<&str> = named.map(String::as_str).collect();
        let set = [&format.text_a, &format.text_b];
        let set = set.map(|column| column.as_ref().and_then(|column| self.position(column)));
        let (kind, texts): (_, Vec<usize>) = match (set, column_names::pair(&names)) {
            ([Some(a), b], _) => (format.kind, [Some(a), b].into_iter().flatten().collect()),
            (_, Some((a, b))) if format.kind == TextKind::Pair => (TextKind::Pair, vec![a, b]),
            _ => (TextKind::Single, vec![column_names::single(&names)?]),
        };
        let label = match &format.label {
            Some(LabelColumns::One(column)) => self.position(column),
            _ => column_names::label(&names, &texts),
        };
        let others = self.others(&texts);
        let labels = label.map_or_else(|| others.unwrap_or_default(), |label| vec![label]);
        Some(Layout {
            kind,
            is_new: label.is_none() && !labels.is_empty(),
            texts,
            labels,
        })
    }

    /// By what the columns hold: rule 4.
    fn by_content(&self) -> Option<Layout> {
        let has_texts = |column: &usize| self.columns[*column].has_texts(self.rows);
        let texts: Vec<usize> = (0..self.columns.len()).filter(has_texts).collect();
        let kind = match texts.len() {
            1 => TextKind::Single,
            2 => TextKind::Pair,
            _ => return None,
        };
        Some(Layout {
            kind,
            labels: self.others(&texts)?,
            texts,
            is_new: true,
        })
    }

    /// What is neither a text nor an id: one column, or several of 0 and 1; `None` where it cannot be told which is the label.
    fn others(&self, texts: &[usize]) -> Option<Vec<usize>> {
        let is_other = |column: &usize| !texts.contains(column) && !self.is_ids(*column);
        let others: Vec<usize> = (0..self.columns.len()).filter(is_other).collect();
        let zero_one = others
            .iter()
            .all(|&column| self.columns[column].is_zero_one());
        (others.len() <= 1 || zero_one).then_some(others)
    }

    /// Ids may be words where the header calls them so.
    fn is_ids(&self, column: usize) -> bool {
        let profile = &self.columns[column];
        let name = self.header.as_ref().and_then(|header| header.get(column));
        let is_named = name.is_some_and(|name| is_name_of_ids(name));
        profile.is_ids(self.rows) || is_named && profile.distinct.len() == self.rows
    }

    /// The kind of the label in `column`; `3 classes`, and what the column holds: rule 6.
    fn label_kind(
        &self,
        column: usize,
        format: &ExampleFormat,
    ) -> Result<(LabelKind, String, String)> {
        let profile = &self.columns[column];
        let n = profile.distinct.len();
        let is_few = |n: usize, of: usize| n <= MAX_CLASSES && (n <= FEW || 2 * n <= of);
        if profile.is_zero_one() {
            let holds = "0 and 1".to_owned();
            return Ok((LabelKind::Binary, "labels 0 and 1".to_owned(), holds));
        }
        if profile.is_numeric() {
            let numbers = "a number each".to_owned();
            if !profile.is_whole() {
                let holds = "numbers with fractions".to_owned();
                return Ok((LabelKind::Ordinal, numbers, holds));
            }
            let is_score = |name: &String| ORDINAL_NAMES.contains(&name.to_lowercase().as_str());
            let name = self.header.as_ref().and_then(|header| header.get(column));
            if name.is_some_and(is_score) {
                return Ok((LabelKind::Ordinal, numbers, "whole numbers".to_owned()));
            }
            if is_few(n, self.rows) {
                let advice = match n {
                    2 => TWO_CLASSES,
                    _ => "set `task.labels = \"ordinal\"` if their order counts",
                };
                let holds = format!("{n} different whole numbers ({advice})");
                return Ok((LabelKind::Classes, classes(n), holds));
            }
        }
        let n_parts = profile.distinct_parts.len();
        if profile.parts > self.rows && is_few(n_parts, profile.parts) {
            let holds = format!(
                "{n_parts} different names with `{}` between",
                format.label_separator
            );
            return Ok((
                LabelKind::Multilabel,
                format!("any of {n_parts} labels"),
                holds,
            ));
        }
        if !profile.is_numeric() && is_few(n, self.rows) {
            let holds = match n {
                1 => "1 different string".to_owned(),
                2 => format!("2 different strings ({TWO_CLASSES})"),
                _ => format!("{n} different strings"),
            };
            return Ok((LabelKind::Classes, classes(n), holds));
        }
        let what = if profile.is_numeric() {
            "whole numbers"
        } else {
            "strings"
        };
        let found = format!("{n} different {what} in {} rows", self.rows);
        let hint = "set `task.labels`, or `data.label` if this is a column of ids or texts";
        Err(self.refusal(column, "a label: 0 and 1, classes, or numbers", found, hint))
    }
}

fn classes(n: usize) -> String {
    format!("{n} class{}", if n == 1 { "" } else { "es" })
}

#[cfg(test)]
mod tests;
