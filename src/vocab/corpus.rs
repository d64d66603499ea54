//! Plaintext as sentences of token numbers, for alignments that look at neighbours.
//!
//! In: text files, one sentence or more a line, and a [`Unit`]. Out: the types, the most frequent first, each with the rows
//! of the checkpoint that make it up, and the lines as numbers of types. The files are read twice, first to count and
//! then line by line; memory grows with the number of different tokens and not with the files. Does not align.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::lines::{self, CHUNK_BYTES, LINES_PER_TASK};
use super::plain::{PlainId, PlainVocab};
use super::unit::{Segmenter, Unit, is_long, spelled};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use crate::random::{Key, Purpose};

/// Rarer tokens are not told apart: their neighbours say too little.
pub const MIN_COUNT: u64 = 5;
/// At most so many types are told apart, the most frequent ones; words have a long tail.
pub const MAX_TYPES: usize = 20_000;

/// A token of the plaintext that an id may stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainType {
    /// As the unit cuts it.
    pub token: String,
    /// Rows of the checkpoint that make it up, one or more; its embedding is their mean.
    pub rows: Vec<PlainId>,
    /// Occurrences in all files, unweighted.
    pub count: u64,
}

/// Text files under one unit.
pub struct Corpus<'a> {
    files: &'a [PathBuf],
    segmenter: Segmenter,
    key: Key,
    /// Number = index. What is no type here has the number after the last.
    pub types: Vec<PlainType>,
    /// Occurrences of all tokens, those that are no types too.
    pub tokens: u64,
    numbers: HashMap<String, u32>,
}

impl<'a> Corpus<'a> {
    /// Counts the files. Types are tokens with a row of the checkpoint that stand there [`MIN_COUNT`] times or more, by
    /// falling count, then by token. [`Unit::Mixed`] spells every other occurrence of a word, as `key` says.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read; [`Error::Input`] for a line that is not UTF-8, for files without text,
    /// and where no token has a row of the checkpoint or all are rare.
    pub fn count(
        files: &'a [PathBuf],
        unit: Unit,
        (checkpoint, plain): (&Path, &PlainVocab),
        key: Key,
        progress: &Progress,
    ) -> Result<Self> {
        let segmenter = Segmenter::open(checkpoint, unit)?;
        let task = lines::task(&format!("counting by {}", unit.name()), files, progress)?;
        let mut count_of: HashMap<String, u64> = HashMap::new();
        for path in files {
            lines::read(path, CHUNK_BYTES, &task, |lines, _| {
                let parts = lines.par_chunks(LINES_PER_TASK);
                let parts = parts.map(|lines| count_lines(&segmenter, lines));
                for part in parts.collect::<Result<Vec<_>>>()? {
                    add_counts(&mut count_of, part);
                }
                Ok(())
            })?;
        }
        if unit == Unit::Mixed {
            count_of = half_spelled(count_of);
        }
        let tokens = count_of.values().sum();
        let types = types(count_of, &segmenter, plain, files)?;
        let numbers = (0..)
            .zip(&types)
            .map(|(number, known)| (known.token.clone(), number));
        Ok(Self {
            numbers: numbers.collect(),
            files,
            segmenter,
            key: key.with(Purpose::Spell),
            types,
            tokens,
        })
    }

    /// The unit that it was cut by.
    pub fn unit(&self) -> Unit {
        self.segmenter.unit()
    }

    /// The number of a type.
    pub fn number(&self, token: &str) -> Option<u32> {
        self.numbers.get(token).copied()
    }

    /// What stands for all tokens that are no types.
    pub fn other(&self) -> u32 {
        self.types.len() as u32
    }

    /// Gives `add` every line with a token, in order, with the number of its file.
    ///
    /// # Errors
    /// As [`Corpus::count`], and what `add` returns.
    pub fn each_sentence(
        &self,
        progress: &Progress,
        mut add: impl FnMut(&[u32], usize) -> Result<()>,
    ) -> Result<()> {
        let name = format!("reading by {}", self.unit().name());
        let task = lines::task(&name, self.files, progress)?;
        for (file, path) in self.files.iter().enumerate() {
            let key = self.key.at(file as u64);
            lines::read(path, CHUNK_BYTES, &task, |lines, first_line| {
                let numbered: Vec<_> = (first_line..).zip(lines).collect();
                let sentences = numbered
                    .into_par_iter()
                    .map(|(line, text)| self.sentence(text, key.at(line)))
                    .collect::<Result<Vec<_>>>()?;
                let mut sentences = sentences.iter().filter(|sentence| !sentence.is_empty());
                sentences.try_for_each(|sentence| add(sentence, file))
            })?;
        }
        Ok(())
    }

    fn sentence(&self, text: &str, key: Key) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        let number = |token: &str| self.number(token).unwrap_or(self.other());
        for (at, token) in (0..).zip(self.segmenter.tokens(text)?) {
            let is_spelled = self.unit() == Unit::Mixed
                && is_long(&token)
                && (!self.numbers.contains_key(&token) || key.bits(at) & 1 == 0);
            match is_spelled {
                true => numbers.extend(spelled(&token).map(|token| number(&token))),
                false => numbers.push(number(&token)),
            }
        }
        Ok(numbers)
    }
}

fn count_lines(segmenter: &Segmenter, lines: &[&str]) -> Result<HashMap<String, u64>> {
    let mut count_of = HashMap::new();
    for line in lines {
        for token in segmenter.tokens(line)? {
            *count_of.entry(token).or_default() += 1;
        }
    }
    Ok(count_of)
}

/// Sums of whole numbers: neither the order of threads nor that of the map shows.
fn add_counts(sum: &mut HashMap<String, u64>, part: HashMap<String, u64>) {
    for (token, count) in part {
        *sum.entry(token).or_default() += count;
    }
}

/// The counts of words where every other occurrence of a frequent one is spelled, and of rare ones every one.
fn half_spelled(count_of: HashMap<String, u64>) -> HashMap<String, u64> {
    let mut mixed: HashMap<String, u64> = HashMap::new();
    for (word, count) in count_of {
        let whole = match is_long(&word) && count >= 2 * MIN_COUNT {
            true => count / 2,
            false => 0,
        };
        for character in spelled(&word) {
            *mixed.entry(character).or_default() += count - whole;
        }
        if whole > 0 {
            *mixed.entry(word).or_default() += whole;
        }
    }
    mixed
}

fn types(
    count_of: HashMap<String, u64>,
    segmenter: &Segmenter,
    plain: &PlainVocab,
    files: &[PathBuf],
) -> Result<Vec<PlainType>> {
    let n_all = count_of.len();
    let place = || {
        Place::file(
            files
                .first()
                .map_or(Path::new("align.plain"), PathBuf::as_path),
        )
    };
    if n_all == 0 {
        return Err(Error::input(place(), "plain text", "no token in it")
            .with_hint("give files with one sentence a line"));
    }
    let mut tokens: Vec<_> = count_of.into_iter().collect();
    tokens.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    let (mut types, mut n_known) = (Vec::new(), 0);
    for (token, count) in tokens {
        if types.len() == MAX_TYPES || (count < MIN_COUNT && n_known > 0) {
            break;
        }
        let rows = segmenter.rows(&token, plain)?;
        if rows.is_empty() {
            continue;
        }
        n_known += 1;
        if count >= MIN_COUNT {
            types.push(PlainType { token, rows, count });
        }
    }
    if n_known == 0 {
        let expected = "text in the checkpoint's vocabulary";
        let found = format!("{n_all} different tokens, none of which has a row there");
        let hint = "the plaintext must be in the language of the checkpoint";
        return Err(Error::input(place(), expected, found).with_hint(hint));
    }
    if types.is_empty() {
        let expected = format!("tokens that stand there {MIN_COUNT} times or more");
        let error = Error::input(place(), expected, "only tokens that are rarer");
        return Err(error.with_hint("take more plaintext"));
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n我\n们\n要\n去\na\n##b\nab\n北\n";

    struct World {
        folder: tempfile::TempDir,
        files: Vec<PathBuf>,
        plain: PlainVocab,
    }

    fn world(texts: &[&str]) -> World {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("vocab.txt"), VOCAB).expect("room");
        let files = (0..).zip(texts).map(|(number, text)| {
            let file = path(&format!("{number}.txt"));
            std::fs::write(&file, text).expect("room");
            file
        });
        World {
            files: files.collect(),
            plain: PlainVocab::open(folder.path()).expect("a vocabulary"),
            folder,
        }
    }

    impl World {
        fn corpus(&self, unit: Unit) -> Result<Corpus<'_>> {
            let checkpoint = (self.folder.path(), &self.plain);
            let key = Key::from_seed(0);
            Corpus::count(&self.files, unit, checkpoint, key, &Progress::silent())
        }

        /// Types as `token count`, then each sentence with the number of its file.
        fn show(&self, unit: Unit) -> (String, Vec<String>) {
            let corpus = self.corpus(unit).expect("good files");
            let types = corpus.types.iter();
            let types: Vec<_> = types
                .map(|of| format!("{} {}", of.token, of.count))
                .collect();
            let mut sentences = Vec::new();
            let add = |sentence: &[u32], file: usize| {
                let token = |&number: &u32| match corpus.types.get(number as usize) {
                    Some(known) => known.token.clone(),
                    None => "?".to_owned(),
                };
                let tokens: Vec<String> = sentence.iter().map(token).collect();
                sentences.push(format!("{file}: {}", tokens.join(" ")));
                Ok(())
            };
            corpus
                .each_sentence(&Progress::silent(), add)
                .expect("good files");
            (types.join("; "), sentences)
        }

        fn refusal(&self) -> String {
            let Err(error) = self.corpus(Unit::Char) else {
                panic!("a bad corpus");
            };
            let prefix = format!("{}/", self.folder.path().display());
            error.to_string().replace(&prefix, "")
        }
    }

    #[test]
    fn characters_by_hand() {
        // 我, 们 and a stand six times and five; b has no row of its own, 囧 none at all, 去 stands once.
        let world = world(&["我们 Ab\n我们Ab 囧\n", "\n我们AB\n我们ab\n我们ab去\n我\n"]);
        let (types, sentences) = world.show(Unit::Char);
        assert_eq!(types, "我 6; a 5; 们 5");
        assert_eq!(
            sentences[..3],
            ["0: 我 们 a ?", "0: 我 们 a ? ?", "1: 我 们 a ?"]
        );
        assert_eq!(sentences[4..], ["1: 我 们 a ? ?", "1: 我"]);
    }

    #[test]
    fn words_have_the_rows_of_their_pieces() {
        let world = world(&[&"我们要去北京 abb\n".repeat(10)]);
        let corpus = world.corpus(Unit::Word).expect("a good file");
        let rows = |token: &str| {
            let known = corpus.types.iter().find(|known| known.token == token)?;
            let tokens = known.rows.iter().map(|&row| world.plain.token(row));
            Some(tokens.collect::<Vec<_>>().join(" "))
        };
        assert_eq!(rows("我们").as_deref(), Some("我 们"));
        assert_eq!(rows("北京").as_deref(), Some("北")); // 京 has no row
        assert_eq!(rows("abb").as_deref(), Some("ab ##b"));
        assert_eq!(rows("北"), None);
    }

    #[test]
    fn a_mixture_spells_a_half_of_the_words() {
        let world = world(&[&"我们要去\n".repeat(200)]);
        let (types, sentences) = world.show(Unit::Mixed);
        assert_eq!(types, "去 200; 要 200; 们 100; 我 100; 我们 100");
        let whole = "0: 我们 要 去";
        let n_whole = sentences.iter().filter(|line| *line == whole).count();
        assert!((70..130).contains(&n_whole), "{n_whole}"); // four standard errors of a half
        assert!((sentences.iter()).all(|line| line == whole || line == "0: 我 们 要 去"));
        assert_eq!(world.show(Unit::Mixed).1, sentences);
    }

    #[test]
    fn corpora_that_cannot_be_used() {
        assert_eq!(
            world(&["\n \n"]).refusal(),
            "0.txt: expected plain text, found no token in it"
        );
        assert_eq!(
            world(&["何だ\n", "囧\n"]).refusal(),
            "0.txt: expected text in the checkpoint's vocabulary, found 3 different tokens, none of which has a row there"
        );
        assert_eq!(
            world(&["我们\n"]).refusal(),
            "0.txt: expected tokens that stand there 5 times or more, found only tokens that are rarer"
        );
    }
}
