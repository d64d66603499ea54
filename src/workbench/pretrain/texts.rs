//! Plain files as documents of lines, and which of them are held out.
//!
//! In: the files of `[text]`. Out: [`Texts`]: documents in file order with the record of what was read. Lines without text are
//! left out; in dialogues they end a document. Does not cut lines into tokens.

use std::path::{Path, PathBuf};

use crate::config::{Pretraining, TextConfig};
use crate::data::table::quoted;
use crate::data::{Dictionary, TokenKind};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use crate::vocab::lines::{self, CHUNK_BYTES, TextSource};

/// Lines that follow each other, or a block of lines that stand alone. One line or more.
pub struct Document {
    /// Its lines, each with text.
    pub lines: Vec<String>,
    /// Whether it is not learnt from.
    pub held_out: bool,
}

/// The documents of a file.
pub type File = Vec<Document>;

/// All files.
pub struct Texts {
    /// Files whose lines follow each other.
    pub dialogues: Vec<File>,
    /// Files whose lines stand alone.
    pub files: Vec<File>,
    /// What was read: `files`, then `dialogues`.
    pub sources: Vec<TextSource>,
}

impl Texts {
    /// Reads all files and says which documents are held out. The same ones are, whatever the seed.
    ///
    /// # Errors
    /// Those of [`lines::read`]; [`Error::Input`] for a file without text, a token that is no number where numbers are wanted,
    /// and for too few documents.
    pub fn read(settings: &Pretraining, progress: &Progress) -> Result<Self> {
        let text = &settings.text;
        let mut sources = Vec::new();
        let mut read = |paths: &[PathBuf], are_dialogues: bool| -> Result<Vec<File>> {
            let files = paths.iter();
            files
                .map(|path| {
                    let (file, source) = read_file(path, text, are_dialogues, progress)?;
                    sources.push(source);
                    Ok(file)
                })
                .collect()
        };
        let mut texts = Self {
            files: read(&text.files, false)?,
            dialogues: read(&text.dialogues, true)?,
            sources,
        };
        texts.hold_out(settings)?;
        Ok(texts)
    }

    /// Every document.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.dialogues.iter().chain(&self.files).flatten()
    }

    /// Every line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let documents = self.documents();
        documents.flat_map(|document| document.lines.iter().map(String::as_str))
    }

    fn hold_out(&mut self, settings: &Pretraining) -> Result<()> {
        let text = &settings.text;
        // Of one document no false neighbour can be made.
        let of_dialogues = match (settings.learns_nsp(), self.files.is_empty()) {
            (true, _) => 2,
            (false, is_alone) => usize::from(is_alone),
        };
        let of_files = usize::from(self.dialogues.is_empty());
        for (key, files, least) in [
            ("text.dialogues", &mut self.dialogues, of_dialogues),
            ("text.files", &mut self.files, of_files),
        ] {
            let n = files.iter().map(Vec::len).sum();
            let chosen = chosen(n, text.held_out, least);
            let needed = chosen.len() + least;
            if n > 0 && n < needed {
                let lines = text.document_lines;
                let expected = format!(
                    "{needed} documents or more, of which {} are held out (a document has at most text.document_lines = {lines} lines)",
                    chosen.len()
                );
                let error = Error::input(Place::file(key), expected, n);
                return Err(error
                    .with_hint("add files, lower text.document_lines, or set text.held_out = 0"));
            }
            let mut documents: Vec<_> = files.iter_mut().flatten().collect();
            for number in chosen {
                documents[number].held_out = true;
            }
        }
        // Each of the two may do without a document to learn from, and not both.
        if self.documents().all(|document| document.held_out) {
            let n = self.documents().count();
            let expected = "a share that leaves a document to learn from";
            let found = format!("{}, which holds out all {n}", text.held_out);
            let error = Error::input(Place::file("text.held_out"), expected, found);
            let hint = "lower it, lower text.document_lines, or add files";
            return Err(error.with_hint(hint));
        }
        Ok(())
    }
}

/// Numbers of the documents that are held out of `n`, spread evenly: `share` of them, but not fewer than `least`; none where the
/// share is 0.
fn chosen(n: usize, share: f64, least: usize) -> Vec<usize> {
    if share == 0.0 || n == 0 {
        return Vec::new();
    }
    let n_chosen = ((n as f64 * share).round() as usize).max(least);
    (0..n_chosen)
        .map(|at| (2 * at + 1) * n / (2 * n_chosen))
        .collect()
}

fn read_file(
    path: &Path,
    text: &TextConfig,
    is_dialogue: bool,
    progress: &Progress,
) -> Result<(File, TextSource)> {
    let files = [path.to_owned()];
    let task = lines::task("reading", &files, progress)?;
    let numbers = Dictionary::new(TokenKind::Number);
    let mut runs: Vec<Vec<String>> = vec![Vec::new()];
    let source = lines::read(path, CHUNK_BYTES, &task, |lines, first| {
        for (number, line) in (first..).zip(lines) {
            let line = line.trim();
            if text.tokens == TokenKind::Number {
                require_ids(path, number, line, &numbers)?;
            }
            match line.is_empty() {
                true if is_dialogue => runs.push(Vec::new()),
                true => {}
                false => runs.last_mut().expect("one run").push(line.to_owned()),
            }
        }
        Ok(())
    })?;
    let mut documents = File::new();
    for run in runs {
        let mut run = run.into_iter().peekable();
        while run.peek().is_some() {
            documents.push(Document {
                lines: run.by_ref().take(text.document_lines).collect(),
                held_out: false,
            });
        }
    }
    if documents.is_empty() {
        let error = Error::input(Place::file(path), "a sentence a line", "no line with text");
        return Err(error.with_hint("leave the file out"));
    }
    Ok((documents, source))
}

fn require_ids(path: &Path, number: u64, line: &str, numbers: &Dictionary) -> Result<()> {
    let mut tokens = line.split_whitespace();
    match tokens.find(|token| numbers.get(token).is_none()) {
        None => Ok(()),
        Some(token) => {
            let expected = "token ids from 0 to 4294967295 with spaces between them";
            let error = Error::input(Place::line(path, number), expected, quoted(token));
            Err(error.with_hint("plain text is read with text.tokens = \"text\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str, settings: &TextConfig, is_dialogue: bool) -> Result<Vec<Vec<String>>> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.txt");
        std::fs::write(&path, content).expect("a small file");
        let (file, source) = read_file(&path, settings, is_dialogue, &Progress::silent())?;
        assert_eq!(source.lines, content.lines().count() as u64);
        Ok(file.into_iter().map(|document| document.lines).collect())
    }

    #[test]
    fn empty_lines_and_too_many_lines_end_a_document() {
        let settings = TextConfig {
            document_lines: 3,
            ..TextConfig::default()
        };
        let content = "a\n b \n\n\nc\nd\ne\nf\n \n";
        let dialogues = read(content, &settings, true).expect("good");
        assert_eq!(dialogues, [&["a", "b"][..], &["c", "d", "e"], &["f"]]);
        let blocks = read(content, &settings, false).expect("good");
        assert_eq!(blocks, [["a", "b", "c"], ["d", "e", "f"]]);
    }

    #[test]
    fn files_without_text_and_words_for_ids() {
        let settings = TextConfig::default();
        for content in ["", "\n \n"] {
            let error = read(content, &settings, true).expect_err("nothing to read");
            let message = error.to_string();
            let rest = "t.txt: expected a sentence a line, found no line with text";
            assert!(message.ends_with(rest), "{message}");
        }
        let settings = TextConfig {
            tokens: TokenKind::Number,
            ..settings
        };
        let error = read("1 2\n3 x\n", &settings, true).expect_err("no id");
        let message = error.to_string();
        let rest =
            "t.txt:2: expected token ids from 0 to 4294967295 with spaces between them, found `x`";
        assert!(message.ends_with(rest), "{message}");
    }

    #[test]
    fn documents_are_held_out_evenly_and_never_all() {
        assert_eq!(chosen(1000, 0.01, 1).len(), 10);
        assert_eq!(chosen(1000, 0.01, 1)[..3], [50, 150, 250]);
        assert_eq!(chosen(10, 0.0, 2), [0; 0]);
        assert_eq!(chosen(10, 0.01, 2), [2, 7]);
        assert_eq!(chosen(10, 0.01, 0), [0; 0]);
        for n in 1..30 {
            let chosen = chosen(n, 0.5, 1);
            let different: std::collections::BTreeSet<_> = chosen.iter().collect();
            assert_eq!(different.len(), chosen.len());
            assert!(chosen.iter().all(|&at| at < n));
        }
    }
}
