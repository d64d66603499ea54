//! The prompts of a file: what is said beside a text for each label.
//!
//! In: a TOML file. Out: [`Prompts`], checked as far as that goes without rows. Does not cut text into tokens.
//!
//! ```toml
//! template = "这次买的东西很{}"   # what is said; {} is the candidate's place. Default "{}": prompts are whole sentences
//! side = "prefix"               # what is said stands first, or behind the text ("suffix")
//! text = "{a}"                  # the text; {a} is a row's first text, {b} its second
//! blank = "__"                  # what stands in the text where the candidate belongs
//! [[label]]
//! name = "1"                    # as the data writes it
//! prompt = "好"                 # the candidate
//! [[label]]
//! name = "0"
//! prompt = "差"
//! ```
//!
//! Without `[[label]]` the candidate is the second text of each row.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::data::TextKind;
use crate::data::table::quoted;
use crate::error::{Error, Place, Result};

/// The candidate's place.
const CANDIDATE: &str = "{}";

/// Which of the two sentences is what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    #[default]
    Prefix,
    /// The second.
    Suffix,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    /// The same for all rows.
    Fixed(T),
    /// `{}`
    Candidate,
    /// `{a}`
    First,
    /// `{b}`
    Second,
}

/// A template: its pieces in their order.
pub type Template<T> = Vec<Part<T>>;

/// A label and the candidate that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelPrompt {
    /// As the data writes it.
    pub name: String,
    /// What takes the candidate's place.
    pub prompt: String,
    /// Where its name stands.
    pub place: Place,
    /// Where its prompt stands.
    pub prompt_place: Place,
}

/// What is said of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    /// The file.
    pub path: PathBuf,
    /// What is said. Has the candidate's place, once.
    pub template: Template<String>,
    /// What it is said of. Has `{a}`, and not the candidate's place.
    pub text: Template<String>,
    /// Which of the two comes first.
    pub side: Side,
    /// What marks the place in the text where the candidate belongs.
    pub blank: Option<String>,
    /// Two or more; none where the candidate is the second text of a row.
    pub labels: Vec<LabelPrompt>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    template: Option<Spanned<String>>,
    text: Option<Spanned<String>>,
    #[serde(default)]
    side: Side,
    blank: Option<Spanned<String>>,
    #[serde(default)]
    label: Vec<LabelEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelEntry {
    name: Spanned<String>,
    prompt: Spanned<String>,
}

impl Prompts {
    /// Reads the file; `kind` is that of the rows.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Input`] with line and key for other bytes than UTF-8, what is no TOML, an unknown key, a template without the candidate's
    /// place or with two, a text without `{a}`, `{a}` in a template beside a blank, `{b}` of rows with one text, one label alone, and a
    /// label that comes twice.
    pub fn read(path: &Path, kind: TextKind) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Error::input(Place::line(path, line as u64), "UTF-8", "other bytes")
                .with_hint("save the file as UTF-8")
        })?;
        Self::parse(path, text, kind)
    }

    fn parse(path: &Path, text: &str, kind: TextKind) -> Result<Self> {
        let place = |offset: usize, key: &str| {
            let line = 1 + text[..offset.min(text.len())].matches('\n').count();
            Place::line(path, line as u64).field(key)
        };
        let file: PromptFile = toml::from_str(text).map_err(|error| {
            let at = place(error.span().map_or(0, |span| span.start), "");
            let at = Place { field: None, ..at };
            Error::input(at, "prompts", error.message()).with_hint(
                "keys are template, text, side, blank, and name and prompt of each [[label]]",
            )
        })?;
        let file_place = |key: &str| Place::file(path).field(key);
        let at = |value: &Option<Spanned<String>>, key: &str| match value {
            Some(value) => place(value.span().start, key),
            None => file_place(key),
        };
        let own = |value: &Option<Spanned<String>>, usual: &str| {
            value
                .as_ref()
                .map_or(usual.to_owned(), |value| value.get_ref().clone())
        };
        let template = parts(&own(&file.template, CANDIDATE));
        require_candidate(&template, at(&file.template, "template"))?;
        let described = parts(&own(&file.text, "{a}"));
        require_first(&described, at(&file.text, "text"))?;
        for (parts, place) in [
            (&template, at(&file.template, "template")),
            (&described, at(&file.text, "text")),
        ] {
            if kind == TextKind::Single && parts.contains(&Part::Second) {
                let error = Error::input(place, "no {b}, as rows have one text", "{b}");
                return Err(error.with_hint("a task of pairs has task.kind = \"pair\""));
            }
        }
        let blank = file.blank.as_ref().map(|blank| blank.get_ref().clone());
        if blank
            .as_deref()
            .is_some_and(|blank| blank.trim().is_empty())
        {
            let expected = "what stands in the text where the candidate belongs";
            return Err(Error::input(at(&file.blank, "blank"), expected, "nothing")
                .with_hint("leave blank out where the text has none"));
        }
        // The text is said around its blank, which is no token that the network could read a second time.
        if blank.is_some() && template.contains(&Part::First) {
            let place = at(&file.template, "template");
            let error = Error::input(place, "no {a}, as the text has a blank", "{a}");
            return Err(error.with_hint("leave {a} out of `template`, or leave `blank` out"));
        }
        let labels = file
            .label
            .iter()
            .enumerate()
            .map(|(number, label)| LabelPrompt {
                name: label.name.get_ref().clone(),
                prompt: label.prompt.get_ref().clone(),
                place: place(
                    label.name.span().start,
                    &format!("label[{}].name", number + 1),
                ),
                prompt_place: place(
                    label.prompt.span().start,
                    &format!("label[{}].prompt", number + 1),
                ),
            });
        let prompts = Self {
            path: path.to_owned(),
            template,
            text: described,
            side: file.side,
            blank,
            labels: labels.collect(),
        };
        prompts.require_labels(kind)?;
        for (number, label) in file.label.iter().enumerate() {
            let mut before = file.label[..number].iter();
            if before.any(|other| other.name.get_ref() == label.name.get_ref()) {
                let place = place(
                    label.name.span().start,
                    &format!("label[{}].name", number + 1),
                );
                let found = format!("{} again", quoted(label.name.get_ref()));
                return Err(Error::input(place, "a new label", found)
                    .with_hint("give each label one prompt"));
            }
        }
        Ok(prompts)
    }

    fn require_labels(&self, kind: TextKind) -> Result<()> {
        let place = Place::file(&self.path).field("label");
        let hint = "write a [[label]] with name and prompt for each label of the data";
        match (self.labels.len(), kind) {
            (0, TextKind::Pair) => Ok(()),
            (0, TextKind::Single) => {
                Err(Error::input(place, "two labels or more", "none").with_hint(hint))
            }
            (1, _) => Err(Error::input(place, "two labels or more", "one").with_hint(hint)),
            _ => Ok(()),
        }
    }
}

/// `这是{}，{b}` in its pieces. Other braces are text.
fn parts(template: &str) -> Template<String> {
    let places = [
        (CANDIDATE, Part::Candidate),
        ("{a}", Part::First),
        ("{b}", Part::Second),
    ];
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let found = places
            .iter()
            .filter_map(|(name, part)| Some((rest.find(name)?, name, part)));
        let Some((at, name, part)) = found.min_by_key(|(at, ..)| *at) else {
            parts.push(Part::Fixed(rest.to_owned()));
            break;
        };
        if at > 0 {
            parts.push(Part::Fixed(rest[..at].to_owned()));
        }
        parts.push(part.clone());
        rest = &rest[at + name.len()..];
    }
    parts
}

fn count(parts: &Template<String>, wanted: &Part<String>) -> usize {
    parts.iter().filter(|part| *part == wanted).count()
}

fn require_candidate(template: &Template<String>, place: Place) -> Result<()> {
    let expected = "the candidate's place {} once";
    let found = match count(template, &Part::Candidate) {
        1 => return Ok(()),
        0 => "none",
        _ => "several",
    };
    Err(Error::input(place, expected, found)
        .with_hint("write {} where the prompt of each label belongs, as in \"这是一则{}新闻\""))
}

fn require_first(text: &Template<String>, place: Place) -> Result<()> {
    let error = match (count(text, &Part::First), count(text, &Part::Candidate)) {
        (1, 0) => return Ok(()),
        (1, _) => Error::input(place, "no {}", "{}")
            .with_hint("the candidate stands in `template`; `blank` marks its place in a text"),
        (0, _) => Error::input(place, "the place of the row's text {a} once", "none")
            .with_hint("write {a} where the text belongs, as in \"{a}上文中的它是指\""),
        _ => Error::input(place, "the place of the row's text {a} once", "several")
            .with_hint("leave the others out"),
    };
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, kind: TextKind) -> Result<Prompts> {
        Prompts::parse(Path::new("p.toml"), text, kind)
    }

    const TWO: &str =
        "[[label]]\nname = \"1\"\nprompt = \"好\"\n[[label]]\nname = \"0\"\nprompt = \"差\"\n";

    #[test]
    fn templates_by_hand() {
        let text =
            format!("template = \"东西很{{}}。\"\ntext = \"{{a}}它\"\nside = \"suffix\"\n{TWO}");
        let prompts = parse(&text, TextKind::Single).expect("good prompts");
        let fixed = |text: &str| Part::Fixed(text.to_owned());
        assert_eq!(
            prompts.template,
            [fixed("东西很"), Part::Candidate, fixed("。")]
        );
        assert_eq!(prompts.text, [Part::First, fixed("它")]);
        assert_eq!((prompts.side, prompts.labels.len()), (Side::Suffix, 2));
        assert_eq!(
            prompts.labels[1].place.to_string(),
            "p.toml:8:label[2].name"
        );
        assert_eq!(
            prompts.labels[1].prompt_place.to_string(),
            "p.toml:9:label[2].prompt"
        );
        assert_eq!(
            parts("{a}{b}{x}"),
            [Part::First, Part::Second, fixed("{x}")]
        );

        let usual = parse(TWO, TextKind::Single).expect("whole sentences");
        assert_eq!(
            (usual.template, usual.text),
            (vec![Part::Candidate], vec![Part::First])
        );
        let pairs = parse("text = \"{a}其中他是指\"", TextKind::Pair).expect("the second text");
        assert!(pairs.labels.is_empty() && pairs.side == Side::Prefix);
    }

    #[test]
    fn other_bytes_than_utf_8_are_refused_with_their_line() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("p.toml");
        let bytes = [
            b"[[label]]\nname = \"1\"\nprompt = \"",
            &[0xba, 0xc3][..],
            b"\"\n",
        ];
        std::fs::write(&path, bytes.concat()).expect("room");
        let error = Prompts::read(&path, TextKind::Single).expect_err("GBK");
        let shown = error.to_string();
        assert!(
            shown.ends_with("p.toml:3: expected UTF-8, found other bytes"),
            "{shown}"
        );
        assert_eq!(error.hint(), Some("save the file as UTF-8"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_line() {
        let cases = [
            (
                "template = \"好\"\n",
                "p.toml:1:template: expected the candidate's place {} once, found none",
            ),
            (
                "\ntemplate = \"{}{}\"\n",
                "p.toml:2:template: expected the candidate's place {} once, found several",
            ),
            (
                "text = \"它\"\n",
                "p.toml:1:text: expected the place of the row's text {a} once, found none",
            ),
            (
                "text = \"{a}{a}\"\n",
                "p.toml:1:text: expected the place of the row's text {a} once, found several",
            ),
            (
                "text = \"{a}{}\"\n",
                "p.toml:1:text: expected no {}, found {}",
            ),
            (
                "text = \"{a}{b}\"\n",
                "p.toml:1:text: expected no {b}, as rows have one text, found {b}",
            ),
            (
                "blank = \" \"\n",
                "p.toml:1:blank: expected what stands in the text where the candidate belongs, found nothing",
            ),
            (
                "blank = \"__\"\ntemplate = \"{a}{}\"\n",
                "p.toml:2:template: expected no {a}, as the text has a blank, found {a}",
            ),
        ];
        for (head, message) in cases {
            let error = parse(&format!("{head}{TWO}"), TextKind::Single).expect_err(head);
            assert_eq!(error.to_string(), message);
        }
        let text = format!("template = \"{{a}}{{}}\"\n{TWO}");
        parse(&text, TextKind::Single).expect("without a blank it may be said again");
        let none = parse("", TextKind::Single)
            .expect_err("no label")
            .to_string();
        assert_eq!(
            none,
            "p.toml:label: expected two labels or more, found none"
        );
        let twice = TWO.replace("\"0\"", "\"1\"");
        let twice = parse(&twice, TextKind::Single)
            .expect_err("one label twice")
            .to_string();
        assert_eq!(
            twice,
            "p.toml:5:label[2].name: expected a new label, found `1` again"
        );
        let unknown = parse("templat = \"{}\"\n", TextKind::Single)
            .expect_err("a typo")
            .to_string();
        assert!(
            unknown.starts_with("p.toml:1: expected prompts, found unknown field `templat`"),
            "{unknown}"
        );
    }
}
