//! What the classes of a task are called, and the number of each.
//!
//! In: labels as the training files write them. Out: [`Classes`]: open while those files are read, then closed, so that
//! the order depends on the labels alone and not on the order of rows. Does not read files.

use std::collections::HashMap;

use super::example::{Example, Target};
use super::format::{ExampleFormat, LabelColumns};
use super::table::quoted;
use super::task::{LabelKind, Task};
use crate::error::{Error, Result};

/// Classes that a task may have: more of them are ids, or numbers of which the order counts.
pub const MAX_CLASSES: usize = 1000;

/// Names of classes, numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    is_open: bool,
}

/// Why a name has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoClass {
    /// The classes are closed, and it is none of them.
    Unknown,
    /// There are [`MAX_CLASSES`] already.
    TooMany,
}

impl Classes {
    /// Those of a task whose files are to be read: none yet, where the files say what they are.
    pub fn new(format: &ExampleFormat) -> Self {
        match format.labels {
            LabelKind::Binary => Self::closed(["0".to_owned(), "1".to_owned()]),
            LabelKind::Ordinal => Self::closed([]),
            LabelKind::Classes | LabelKind::Multilabel => Self {
                is_open: true,
                ..Self::default()
            },
        }
    }

    /// Those of a task that is known, for more files of it.
    pub fn of(task: &Task) -> Self {
        Self::closed(task.classes.iter().cloned())
    }

    fn closed(names: impl IntoIterator<Item = String>) -> Self {
        let names: Vec<String> = names.into_iter().collect();
        Self {
            numbers: (names.iter().cloned()).zip(0..).collect(),
            names,
            is_open: false,
        }
    }

    /// The names by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of `name`, a new one where the classes are open.
    pub(super) fn number(&mut self, name: &str) -> std::result::Result<u32, NoClass> {
        if let Some(&number) = self.numbers.get(name) {
            return Ok(number);
        }
        if !self.is_open {
            return Err(NoClass::Unknown);
        }
        if self.names.len() == MAX_CLASSES {
            return Err(NoClass::TooMany);
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// Whether a new name becomes a class.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Ends the classes where a file's columns have named them all.
    pub(super) fn close_as_they_are(&mut self) {
        self.is_open = false;
    }

    /// Puts the classes in their order, by value where all are whole numbers, else by name, and renumbers the targets
    /// of `examples` (every row that was read with them). From now on other labels are refused. Closed classes, and
    /// those in columns of their own, stay as they are.
    pub fn close<'a>(&mut self, examples: impl IntoIterator<Item = &'a mut Example>) {
        if !self.is_open {
            return;
        }
        let mut names = std::mem::take(&mut self.names);
        let old = std::mem::take(&mut self.numbers);
        let values: HashMap<&String, i64> = old
            .keys()
            .filter_map(|name| Some((name, name.parse().ok()?)))
            .collect();
        let all_are_numbers = values.len() == names.len();
        names.sort_by(|a, b| {
            let by_value = all_are_numbers.then(|| values[a].cmp(&values[b]));
            by_value.unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
        });
        *self = Self::closed(names);
        let mut new_number = vec![0; old.len()];
        for (name, number) in old {
            new_number[number as usize] = self.numbers[&name];
        }
        for example in examples {
            match &mut example.target {
                Target::Class(class) => *class = new_number[*class as usize],
                Target::Several(classes) => {
                    for class in &mut *classes {
                        *class = new_number[*class as usize];
                    }
                    classes.sort_unstable();
                }
                Target::Unknown | Target::Number(_) | Target::Probabilities(_) => {}
            }
        }
    }

    /// The classes in a message: all of them, or the first and how many.
    pub(super) fn describe(&self) -> String {
        const SHOWN: usize = 6;
        let names: Vec<_> = self.names.iter().map(|name| quoted(name)).collect();
        match names.len() {
            0..=SHOWN => names.join(", "),
            n => format!("{}, … ({n} in all)", names[..SHOWN].join(", ")),
        }
    }
}

impl ExampleFormat {
    /// The task that these files and the labels of their training rows make.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no choice between classes.
    pub fn task(&self, classes: &Classes) -> Result<Task> {
        let names = classes.names();
        let message = match (self.labels, names) {
            (LabelKind::Classes, []) => "the training rows hold no class",
            (LabelKind::Classes, [only]) => &format!(
                "all training rows are of the class {}: there is nothing to learn",
                quoted(only)
            ),
            (LabelKind::Multilabel, []) => "the training rows hold no label at all",
            _ => {
                return Ok(Task {
                    kind: self.kind,
                    labels: self.labels,
                    classes: names.to_vec(),
                });
            }
        };
        let hint = match self.label {
            Some(LabelColumns::Several(_)) => "set `data.label` to the columns of the labels",
            _ => "set `data.label` to the column of the label",
        };
        Err(Error::refused(message).with_hint(hint))
    }
}
