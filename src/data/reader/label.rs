//! The label of a row, by its kind.
//!
//! In: the fields of a row. Out: its [`Target`]; new names go to the [`Classes`] while these are open.

use csv::StringRecord;

use super::super::classes::{Classes, MAX_CLASSES, NoClass};
use super::super::dictionary::TokenKind;
use super::super::example::Target;
use super::super::format::{ExampleFormat, LabelColumns};
use super::super::label_field::{self, finite, is_missing};
use super::super::table::{Table, quoted};
use super::super::task::LabelKind;
use super::UNLABELLED_HINT;
use super::label_values::MINUS_ONE;
use super::layout::Layout;
use crate::error::{Error, Place, Result};

/// Stands for an unknown label in some test files.
const UNKNOWN: &str = "?";

/// Reads the labels of one file, which has the columns for them.
pub(super) struct LabelReader<'a> {
    format: &'a ExampleFormat,
    classes: &'a mut Classes,
    /// Where each class has a column of its own: the class of each of these columns.
    class_of_column: Vec<u32>,
    /// The first name of a class that may say that there is none.
    missing: Option<(String, Place)>,
}

impl<'a> LabelReader<'a> {
    /// `table` stands at its first row.
    ///
    /// # Errors
    /// [`Error::Input`] where the columns of the classes are not those of the files before, or two have one name.
    pub fn new(
        table: &Table,
        layout: &Layout,
        format: &'a ExampleFormat,
        classes: &'a mut Classes,
    ) -> Result<Self> {
        let mut class_of_column = Vec::new();
        if let Some(LabelColumns::Several(_)) = format.label {
            for (index, &column) in layout.labels.iter().enumerate() {
                let name = layout.header_name(column).map(str::to_owned);
                let name = name.unwrap_or_else(|| format!("label_{}", index + 1));
                let place = || table.place().field(layout.field_name(column));
                let class = classes
                    .number(&name)
                    .map_err(|reason| no_class(&name, reason, classes, format, place()))?;
                if class_of_column.contains(&class) {
                    let found = format!("{} a second time", quoted(&name));
                    let expected = "a name of its own for each label's column";
                    return Err(Error::input(place(), expected, found)
                        .with_hint("rename one of the columns in the header"));
                }
                class_of_column.push(class);
            }
            classes.close_as_they_are();
        }
        Ok(Self {
            format,
            classes,
            class_of_column,
            missing: None,
        })
    }

    /// The target of a row; `place` is where a column of it stands.
    ///
    /// # Errors
    /// [`Error::Input`] for a label that is none of its kind, and for a class that is new where the classes are closed.
    pub fn target(
        &mut self,
        fields: &StringRecord,
        columns: &[usize],
        place: impl Fn(usize) -> Place,
    ) -> Result<Target> {
        let first = columns[0];
        let field = fields[first].trim();
        let place_of_first = || place(first);
        match self.format.labels {
            LabelKind::Binary => zero_or_one(field, place_of_first)
                .map(Target::from)
                .map_err(|error| match field {
                    missing if is_missing(missing) => error,
                    _ => error.with_hint(other_than_zero_or_one(field)),
                }),
            LabelKind::Ordinal => Ok(Target::Number(number(field, place_of_first)?)),
            LabelKind::Classes => Ok(Target::Class(self.class(field, place_of_first)?)),
            LabelKind::Multilabel if self.class_of_column.is_empty() => {
                self.separated(field, place_of_first)
            }
            LabelKind::Multilabel => {
                let mut held = Vec::new();
                for (&column, &class) in columns.iter().zip(&self.class_of_column) {
                    if zero_or_one(fields[column].trim(), || place(column))? {
                        held.push(class);
                    }
                }
                held.sort_unstable();
                Ok(Target::Several(held))
            }
        }
    }

    /// Refuses a class such as `NaN` after the last row, where all others are numbers: it is none.
    ///
    /// # Errors
    /// [`Error::Input`] with the first row that has it.
    pub fn refuse_missing(self) -> Result<()> {
        let Some((name, place)) = self.missing else {
            return Ok(());
        };
        let mut others = self.classes.names().iter().filter(|name| !is_missing(name));
        match others.clone().next().is_some() && others.all(|name| finite(name).is_some()) {
            true => Err(Error::input(place, "a class", quoted(&name)).with_hint(UNLABELLED_HINT)),
            false => Ok(()),
        }
    }

    fn separated(&mut self, field: &str, place: impl Fn() -> Place) -> Result<Target> {
        let mut held = Vec::new();
        if !field.is_empty() {
            for name in field.split(&self.format.label_separator) {
                if name.trim().is_empty() {
                    let error = Error::input(place(), "a label beside each separator", "nothing");
                    return Err(error.with_hint("set `data.label_separator`"));
                }
                held.push(self.class(name.trim(), &place)?);
            }
        }
        held.sort_unstable();
        held.dedup();
        Ok(Target::Several(held))
    }

    fn class(&mut self, name: &str, place: impl Fn() -> Place) -> Result<u32> {
        if name.is_empty() {
            return Err(Error::input(place(), "a class", "nothing").with_hint(UNLABELLED_HINT));
        }
        if name.contains(char::is_control) {
            let found = quoted(&name.escape_debug().to_string());
            return Err(Error::input(
                place(),
                "a class without control characters",
                found,
            ));
        }
        if self.missing.is_none() && self.classes.is_open() && is_missing(name) {
            self.missing = Some((name.to_owned(), place()));
        }
        self.classes
            .number(name)
            .map_err(|reason| no_class(name, reason, self.classes, self.format, place()))
    }
}

/// Refuses what stands in the place of labels that nobody learns from and cannot be one. What stands in for an unknown label, as -1,
/// `NaN` or nothing, may be there.
///
/// # Errors
/// [`Error::Input`] with the first such column.
pub(super) fn refuse_texts(
    fields: &StringRecord,
    columns: &[usize],
    format: &ExampleFormat,
    place: impl Fn(usize) -> Place,
) -> Result<()> {
    let is_label = |column: &&usize| may_be_label(fields[**column].trim(), format);
    let Some(&column) = columns.iter().find(|column| !is_label(column)) else {
        return Ok(());
    };
    let expected = match format.labels {
        LabelKind::Binary => "label 0 or 1, or what stands in for an unknown one, as -1",
        LabelKind::Ordinal => "a number as label",
        LabelKind::Classes => "a class",
        LabelKind::Multilabel => "labels",
    };
    let found = quoted(fields[column].trim());
    Err(Error::input(place(column), expected, found).with_hint(
        "do the columns stand in another order than those of the training files? All files of a run have one order; the column of \
         the label may be left out",
    ))
}

/// Whether a field can be a label of the task, or stands in for one. Of a name is only known that it is no text of numbers.
fn may_be_label(field: &str, format: &ExampleFormat) -> bool {
    if is_missing(field) || field == UNKNOWN {
        return true;
    }
    let is_name = |name: &str| !is_text_of_numbers(name.trim(), format);
    match (format.labels, &format.label) {
        (LabelKind::Multilabel, Some(LabelColumns::Several(_))) => finite(field).is_some(),
        (LabelKind::Multilabel, _) => field.split(&format.label_separator).all(is_name),
        (LabelKind::Classes, _) => is_name(field),
        (LabelKind::Binary | LabelKind::Ordinal, _) => finite(field).is_some(),
    }
}

/// Two numbers or more as the texts of `format` have them.
fn is_text_of_numbers(field: &str, format: &ExampleFormat) -> bool {
    let mut tokens = field.split(&format.token_separator).map(str::trim);
    let is_number = |token: &str| token.bytes().all(|byte| byte.is_ascii_digit());
    format.tokens == TokenKind::Number
        && tokens.clone().filter(|token| !token.is_empty()).count() > 1
        && tokens.all(is_number)
}

fn no_class(
    name: &str,
    reason: NoClass,
    classes: &Classes,
    format: &ExampleFormat,
    place: Place,
) -> Error {
    match reason {
        NoClass::Unknown => {
            let expected = format!("a class of the training rows: {}", classes.describe());
            Error::input(place, expected, quoted(name)).with_hint(
                "every class needs rows in `data.train`; rows of another one can stand in `data.unlabelled`",
            )
        }
        NoClass::TooMany => {
            let expected = format!("at most {MAX_CLASSES} different labels");
            let found = format!("one more, {}", quoted(name));
            let hint = match format.labels {
                LabelKind::Multilabel => {
                    "set `data.label_separator`; or is this a column of ids? Then set `data.label`"
                }
                _ => {
                    "for numbers whose order counts set `task.labels = \"ordinal\"`; or is this a column of ids? Then \
                     set `data.label`"
                }
            };
            Error::input(place, expected, found).with_hint(hint)
        }
    }
}

fn number(field: &str, place: impl Fn() -> Place) -> Result<f32> {
    match field.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => {
            let error = Error::input(place(), "a finite number as label", quoted(field));
            Err(error.with_hint(match field {
                missing if is_missing(missing) => UNLABELLED_HINT,
                _ => "labels that are no numbers are `task.labels = \"classes\"`",
            }))
        }
    }
}

/// What to write in the place of another label of two.
fn other_than_zero_or_one(field: &str) -> &'static str {
    match field.to_lowercase().as_str() {
        "yes" | "no" | "y" | "n" => {
            "write 1 for yes and 0 for no, or set `task.labels = \"classes\"`"
        }
        "true" | "false" | "t" | "f" => {
            "write 1 for true and 0 for false, or set `task.labels = \"classes\"`"
        }
        MINUS_ONE => {
            "if -1 says that a row has no label, the row belongs in `data.unlabelled` or `data.test`; of the labels -1 and 1, \
             write 0 for -1"
        }
        other => match other.parse::<f64>() {
            Ok(number) if number == 0.0 || number == 1.0 => {
                "write it as 0 or 1; for numbers whose order counts set `task.labels = \"ordinal\"`"
            }
            Ok(_) => {
                "for several classes set `task.labels = \"classes\"`, for numbers whose order counts \"ordinal\"; is it \
                 the column of the label? `data.label` names it"
            }
            Err(_) => {
                "for names of classes set `task.labels = \"classes\"`; is it the column of the label? `data.label` names it"
            }
        },
    }
}

fn zero_or_one(field: &str, place: impl Fn() -> Place) -> Result<bool> {
    label_field::zero_or_one(field).ok_or_else(|| {
        let error = Error::input(place(), "label 0 or 1", quoted(field));
        match is_missing(field) {
            true => error.with_hint(UNLABELLED_HINT),
            false => error,
        }
    })
}
