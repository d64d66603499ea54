//! What is asked of each row: prompts in tokens, and the input of one candidate of one row.
//!
//! In: [`Prompts`], the rows, their classes. Out: a [`Question`], whose labels are those of the data and whose inputs fit the network.

use super::input::{BLANK, Input};
use super::prompts::{Part, Prompts, Side, Template};
use super::rows::{Rows, TextTokenizer};
use super::score::Method;
use crate::data::table::quoted;
use crate::data::{EncodedExample, LabelKind};
use crate::error::{Error, Place, Result};

/// Prompts in tokens.
pub struct Question {
    template: Template<Vec<u32>>,
    text: Template<Vec<u32>>,
    side: Side,
    has_blank: bool,
    /// By class; none where the candidate is the second text.
    candidates: Vec<Vec<u32>>,
    prompts: Prompts,
}

impl Question {
    /// Cuts the prompts, in the order of the classes of `rows`. Where the rows have no label that says what the classes are, the prompts
    /// do: `rows` gets those.
    ///
    /// # Errors
    /// [`Error::Input`] for labels that the data does not have, or has and the prompts do not; for a prompt without tokens or longer
    /// than the network reads; [`Error::Refused`] for labels that are numbers or several at once.
    pub fn new(prompts: Prompts, rows: &mut Rows) -> Result<Self> {
        let tokenizer = rows.tokenizer.as_ref();
        let tokenizer = tokenizer.ok_or_else(|| Error::Unexpected("prompts of ids".to_owned()))?;
        let blank = prompts.blank.as_deref();
        let cut = |parts: &Template<String>, blank| -> Result<Template<Vec<u32>>> {
            parts
                .iter()
                .map(|part| cut_part(part, tokenizer, blank))
                .collect()
        };
        let (template, text) = (cut(&prompts.template, None)?, cut(&prompts.text, blank)?);
        if !prompts.labels.is_empty() {
            let is_known = rows.rows.iter().any(|row| row.target.is_known());
            rows.task.classes =
                classes(&prompts, (rows.task.labels, &rows.task.classes), is_known)?;
        }
        let mut candidates = Vec::new();
        for class in rows
            .task
            .classes
            .iter()
            .filter(|_| !prompts.labels.is_empty())
        {
            let labels = prompts.labels.iter();
            let label = labels.clone().find(|label| label.name == *class);
            let label = label.ok_or_else(|| no_prompt(&prompts, class))?;
            let tokens = tokenizer.tokens(&label.prompt)?;
            if tokens.is_empty() {
                let place = label.prompt_place.clone();
                let error = Error::input(place, "a prompt of one token or more", "none");
                return Err(
                    error.with_hint("write there what stands for the label in the template")
                );
            }
            candidates.push(tokens);
        }
        Ok(Self {
            template,
            text,
            side: prompts.side,
            has_blank: prompts.blank.is_some(),
            candidates,
            prompts,
        })
    }

    /// Candidates of a row: one a class, or its second text alone.
    pub fn n_candidates(&self) -> usize {
        self.candidates.len().max(1)
    }

    /// Whether candidates stand for labels.
    pub fn has_labels(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// What the network reads for one candidate of the row with this number, from 0.
    ///
    /// # Errors
    /// [`Error::Input`] for a text that has not the blank once.
    pub fn input(
        &self,
        rows: &Rows,
        number: usize,
        candidate: usize,
        method: Method,
    ) -> Result<Input> {
        let row = &rows.rows[number];
        let second = row.b.as_deref().unwrap_or_default();
        let candidate = self.candidates.get(candidate).map_or(second, Vec::as_slice);
        let text = fill(&self.text, row);
        if self.has_blank {
            self.require_blank(&text, number)?;
        }
        let place = self
            .template
            .iter()
            .position(|part| *part == Part::Candidate);
        let (before, behind) = self.template.split_at(place.unwrap_or(0));
        let (before, behind) = (fill(before, row), fill(&behind[1..], row));
        Ok(match method {
            Method::Nsp => {
                let said = [&before, candidate, &behind].concat();
                Input::soft(rows.specials, &said, &text, self.side)
            }
            Method::Pet => {
                let said = [&before[..], candidate, &behind];
                Input::hidden(rows.specials, said, &text, self.side)
            }
        })
    }

    fn require_blank(&self, text: &[u32], number: usize) -> Result<()> {
        let blanks = text.iter().filter(|&&token| token == BLANK).count();
        if blanks == 1 {
            return Ok(());
        }
        let place = Place::file(&self.prompts.path).field("blank");
        let blank = quoted(self.prompts.blank.as_deref().unwrap_or_default());
        let found = format!("{blanks} in row {}", number + 1);
        Err(
            Error::input(place, format!("{blank} once in every text"), found)
                .with_hint("write it into `text`, or leave `blank` out where texts have none"),
        )
    }

    /// Refuses rows, or a prompt alone, that are longer than the network reads. `max_tokens` is what texts are cut to.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn require_short(&self, rows: &Rows, method: Method, max_tokens: usize) -> Result<()> {
        let most = rows.model.config.max_position_embeddings;
        let (mut longest, mut beside) = (0, 0);
        for candidate in 0..self.n_candidates() {
            for (number, row) in rows.rows.iter().enumerate() {
                let length = self.input(rows, number, candidate, method)?.ids.len();
                let texts = row.tokens().filter(|&token| token != BLANK).count();
                longest = longest.max(length);
                beside = beside.max(length.saturating_sub(texts));
            }
        }
        if longest <= most {
            return Ok(());
        }
        let room = most.saturating_sub(beside);
        if room < rows.task.kind.n_texts() {
            let place = Place::file(&self.prompts.path);
            let expected = format!("prompts that leave room for a text in {most} positions");
            let found = format!("{beside} tokens of prompts, [CLS] and [SEP]");
            return Err(Error::input(place, expected, found)
                .with_hint("shorten the prompts, or set model.positions"));
        }
        let place = Place::file("data.max_tokens");
        let expected = format!(
            "at most {room} (the model has {most} positions, {beside} are for prompts, [CLS] and [SEP])"
        );
        Err(Error::input(place, expected, max_tokens)
            .with_hint("lower data.max_tokens, or set model.positions"))
    }
}

/// The classes in their order: those of the data, or of the prompts where the data does not say.
fn classes(
    prompts: &Prompts,
    (labels, of_data): (LabelKind, &[String]),
    is_known: bool,
) -> Result<Vec<String>> {
    let known = match labels {
        LabelKind::Binary => true,
        LabelKind::Classes => is_known,
        LabelKind::Multilabel | LabelKind::Ordinal => {
            let message = format!(
                "prompts say one label of a row, and task.labels = \"{}\"",
                labels.name()
            );
            return Err(Error::refused(message).with_hint("set task.labels to binary or classes"));
        }
    };
    if !known {
        return Ok(prompts
            .labels
            .iter()
            .map(|label| label.name.clone())
            .collect());
    }
    for label in &prompts.labels {
        if !of_data.contains(&label.name) {
            let expected = format!("a label of the data: {}", listed(of_data));
            return Err(
                Error::input(label.place.clone(), expected, quoted(&label.name))
                    .with_hint("`name` is what the data writes, `prompt` what it means"),
            );
        }
    }
    Ok(of_data.to_vec())
}

/// As many as one reads.
fn listed(names: &[String]) -> String {
    const LISTED: usize = 10;
    let shown = names.iter().take(LISTED).map(|name| quoted(name));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text += &format!(" and {} more", names.len() - LISTED);
    }
    text
}

fn no_prompt(prompts: &Prompts, class: &str) -> Error {
    let place = Place::file(&prompts.path).field("label");
    Error::input(
        place,
        format!("a prompt for the label {}", quoted(class)),
        "none",
    )
    .with_hint("write a [[label]] with name and prompt for each label of the data")
}

fn cut_part(
    part: &Part<String>,
    tokenizer: &TextTokenizer,
    blank: Option<&str>,
) -> Result<Part<Vec<u32>>> {
    Ok(match part {
        Part::Fixed(text) => Part::Fixed(tokenizer.tokens_around(text, blank)?),
        Part::Candidate => Part::Candidate,
        Part::First => Part::First,
        Part::Second => Part::Second,
    })
}

/// All pieces but the candidate.
fn fill(parts: &[Part<Vec<u32>>], row: &EncodedExample) -> Vec<u32> {
    let tokens = |part: &Part<Vec<u32>>| match part {
        Part::Fixed(tokens) => tokens.clone(),
        Part::Candidate => Vec::new(),
        Part::First => row.a.clone(),
        Part::Second => row.b.clone().unwrap_or_default(),
    };
    parts.iter().flat_map(tokens).collect()
}
