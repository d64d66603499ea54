//! Lines as rows of the network: what is learnt, and what it is judged by.
//!
//! In: the texts and their vocabulary. Out: [`TextRows`], in rows of the run's own vocabulary: reserved rows, then the tokens that
//! are frequent enough, as for a cipher. A line that is held out takes part in no training row.

use super::texts::{Document, File, Texts};
use super::vocabulary::TextVocabulary;
use crate::config::{self, Pretraining};
use crate::data::{
    CipherId, Dictionary, EncodedExample, Masking, Target, TokenKind, TokenTypes, reserved,
};
use crate::error::{Error, Place, Result};
use crate::objective::nsp::{Neighbours, Nsp};
use crate::objective::{Draw, Objective, ObjectiveName, mlm::Mlm};
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::train::{HeldOut, Stage};
use crate::vocab::{CipherVocab, Mapping, MappingRow, PlainId};
use crate::workbench::run::stages::stage_key;
use crate::workbench::run::warnings;

/// Share of the tokens of held-out lines that are hidden, each alone: that of the reference. It is no setting, as the more is hidden
/// the harder is each token.
const JUDGED: f64 = 0.15;

/// A document in rows of the run's vocabulary, each line no longer than a row may be.
struct EncodedDocument {
    lines: Vec<Vec<u32>>,
    held_out: bool,
}

/// All lines.
pub struct TextRows {
    /// Rows of the network: the number of a kept id is the row of its token in the vocabulary of the file.
    pub vocab: CipherVocab,
    dialogues: Vec<Vec<EncodedDocument>>,
    files: Vec<Vec<EncodedDocument>>,
    max_tokens: usize,
}

impl TextRows {
    /// Cuts all lines into tokens, counts them and says what there is.
    ///
    /// # Errors
    /// [`Error::Input`] where no token is frequent enough; those of the tokenizer.
    pub fn new(
        settings: &Pretraining,
        texts: &Texts,
        vocabulary: &TextVocabulary,
        progress: &Progress,
    ) -> Result<Self> {
        let (text, min_count) = (&settings.text, settings.vocab.min_count);
        let cut = |files: &[File]| -> Result<Vec<Vec<Cut>>> {
            let cut = |document: &Document| Cut::new(document, vocabulary, text.max_tokens);
            let files = files.iter();
            files.map(|file| file.iter().map(cut).collect()).collect()
        };
        let (dialogues, files) = (cut(&texts.dialogues)?, cut(&texts.files)?);
        let all = || dialogues.iter().chain(&files).flatten();
        let ids = all().flat_map(|document| document.lines.iter().flatten().copied());
        let ids = ids.filter(|&id| id != UNKNOWN);
        let vocab = CipherVocab::count_ids(ids, min_count);
        if vocab.kept.is_empty() {
            let expected = format!("a token that stands in the text {min_count} times or more");
            let error = Error::input(Place::file("vocab.min_count"), expected, "none");
            return Err(
                error.with_hint("lower vocab.min_count; is the vocabulary of this language?")
            );
        }
        progress.say(&format!(
            "vocabulary: {} of {} tokens stand in the text {min_count} times or more and are learnt; {} rarer ones ({} occurrences) are [UNK]",
            vocab.kept.len(),
            vocabulary.plain.len(),
            vocab.rare_types,
            vocab.rare_tokens
        ));
        let (n_cut, n_lines) = all().fold((0, 0), |(cut, lines), document| {
            (cut + document.n_cut, lines + document.lines.len())
        });
        let limit = ("text.max_tokens", text.max_tokens);
        let cut = warnings::cut_rows("the text".as_ref(), n_cut, n_lines, limit);
        let encode = |files: Vec<Vec<Cut>>| -> Vec<Vec<EncodedDocument>> {
            let encode = |document: Cut| document.encode(&vocab);
            let files = files.into_iter();
            files
                .map(|file| file.into_iter().map(encode).collect())
                .collect()
        };
        let rows = Self {
            dialogues: encode(dialogues),
            files: encode(files),
            vocab,
            max_tokens: text.max_tokens,
        };
        let lines = rows.lines(false);
        let unknown = warnings::unknown_tokens("the text", "is the vocabulary of it?", &lines);
        for line in [cut, unknown].iter().flatten() {
            progress.say(line);
        }
        progress.say(&format!(
            "lines: {} to learn from, {} held out",
            lines.len(),
            rows.lines(true).len()
        ));
        Ok(rows)
    }

    /// Every line that is held out, or every other, alone.
    fn lines(&self, held_out: bool) -> Vec<EncodedExample> {
        lines_of(self.dialogues.iter().chain(&self.files), held_out)
    }

    /// A line and the next, uncut, then the lines that stand alone, in a document of their own too; and which of the pairs are of
    /// one document.
    fn pairs(&self, held_out: bool) -> (Vec<EncodedExample>, Neighbours) {
        let mut neighbours = Neighbours::new(self.max_tokens);
        let (mut rows, mut alone) = (Vec::new(), Vec::new());
        for file in &self.dialogues {
            let documents = file.iter().filter(|document| document.held_out == held_out);
            let documents: Vec<_> = documents.collect();
            for document in &documents {
                if let [line] = &document.lines[..] {
                    alone.push(single(line));
                }
                rows.extend(document.lines.windows(2).map(|pair| EncodedExample {
                    a: pair[0].clone(),
                    b: Some(pair[1].clone()),
                    target: true.into(),
                    text_numbers: None,
                }));
            }
            let pairs = |document: &&EncodedDocument| document.lines.len().saturating_sub(1);
            neighbours.push_file(documents.iter().map(pairs));
        }
        rows.extend(alone);
        rows.extend(lines_of(&self.files, held_out));
        (rows, neighbours)
    }

    /// The table that maps each id to itself, where text is ids.
    ///
    /// # Errors
    /// [`Error::Unexpected`], never seen: ids were read as numbers.
    pub fn mapping(&self, vocabulary: &TextVocabulary) -> Result<Vec<u8>> {
        let kept = self.vocab.kept.iter();
        let row = |&(row, count): &(CipherId, u64)| {
            let plain = PlainId(row.0);
            let token = vocabulary.plain.token(plain);
            let id = token.parse().map(CipherId);
            let id = id.map_err(|error| Error::Unexpected(format!("{token} as an id: {error}")));
            Ok(MappingRow {
                cipher_id: id?,
                count,
                plain: Some(plain),
                plain_count: count,
                method: "same",
                found: None,
            })
        };
        let mapping = Mapping {
            rows: kept.map(row).collect::<Result<_>>()?,
            wrapped: 0,
        };
        mapping.table(&Dictionary::new(TokenKind::Number), &vocabulary.plain)
    }

    /// The stages of the fit.
    ///
    /// # Errors
    /// [`Error::Input`] where all neighbours are of one document.
    pub fn stages(&self, settings: &Pretraining) -> Result<Vec<Stage>> {
        let stages = settings.stages().into_iter().enumerate();
        stages
            .map(|(number, stage)| self.stage(stage, stage_key(settings.key(), number)))
            .collect()
    }

    fn stage(&self, stage: config::Stage, key: Key) -> Result<Stage> {
        let weight = stage.mlm_weight;
        let mlm_weight = weight.unwrap_or(stage.objective.recipe().mlm_weight);
        let draw = Draw {
            masking: Masking::of_tokens(JUDGED), // whatever is hidden in training
            cipher_rows: self.vocab.cipher_rows(),
            token_types: match stage.objective {
                ObjectiveName::Nsp => TokenTypes::Second,
                _ => TokenTypes::Zero,
            },
            swap: false,
            key: Key::from_seed(0).with(Purpose::HoldOut), // the same for every seed and epoch
        };
        let (objective, rows): (Box<dyn Objective>, _) = match stage.objective {
            ObjectiveName::Nsp => {
                let (rows, neighbours) = self.pairs(false);
                require_two_documents(&neighbours)?;
                let neighbours = Some(neighbours);
                (
                    Box::new(Nsp {
                        mlm_weight,
                        neighbours,
                        ..Nsp::default()
                    }),
                    rows,
                )
            }
            _ => (Box::new(Mlm), self.lines(false)),
        };
        let (judge, held_out): (Box<dyn Objective>, _) = match stage.objective {
            ObjectiveName::Nsp => {
                let nsp = Nsp {
                    mlm_weight,
                    ..Nsp::default()
                };
                (Box::new(nsp), self.judged_pairs(draw.key)?)
            }
            _ => (Box::new(Mlm), self.lines(true)),
        };
        let held_out = (!held_out.is_empty()).then_some(HeldOut {
            objective: judge,
            rows: held_out,
            draw,
        });
        Ok(Stage {
            name: stage.name,
            objective,
            objective_name: stage.objective,
            masking: Masking::learn(stage.masking, rows.iter().flat_map(EncodedExample::texts)),
            rows,
            options: stage.options,
            key,
            held_out,
        })
    }

    /// The held-out pairs, half of which are no neighbours, the same ones for ever.
    fn judged_pairs(&self, key: Key) -> Result<Vec<EncodedExample>> {
        let (rows, neighbours) = self.pairs(true);
        if rows.is_empty() {
            return Ok(rows);
        }
        require_two_documents(&neighbours)?;
        let numbers = 0..rows.len();
        Ok(numbers
            .map(|number| neighbours.draw(&rows, number, key))
            .collect())
    }
}

fn lines_of<'a>(
    files: impl IntoIterator<Item = &'a Vec<EncodedDocument>>,
    held_out: bool,
) -> Vec<EncodedExample> {
    let documents = files.into_iter().flatten();
    let documents = documents.filter(|document| document.held_out == held_out);
    let lines = documents.flat_map(|document| &document.lines);
    lines.map(|line| single(line)).collect()
}

fn single(line: &[u32]) -> EncodedExample {
    EncodedExample {
        a: line.to_vec(),
        b: None,
        target: Target::Unknown,
        text_numbers: None,
    }
}

fn require_two_documents(neighbours: &Neighbours) -> Result<()> {
    if neighbours.are_enough() {
        return Ok(());
    }
    let expected = "two documents or more with two lines each, held out and to learn from alike";
    let error = Error::input(Place::file("text.dialogues"), expected, "fewer");
    Err(error.with_hint(
        "end documents with an empty line, lower text.document_lines, add files, or set text.held_out = 0",
    ))
}

/// Stands for a special token in the text, above all `[UNK]`: no vocabulary is so long.
const UNKNOWN: CipherId = CipherId(u32::MAX);

/// A document as rows of the vocabulary of the file.
struct Cut {
    lines: Vec<Vec<CipherId>>,
    n_cut: usize,
    held_out: bool,
}

impl Cut {
    fn new(document: &Document, vocabulary: &TextVocabulary, max_tokens: usize) -> Result<Self> {
        let mut cut = Self {
            lines: Vec::new(),
            n_cut: 0,
            held_out: document.held_out,
        };
        for mut line in vocabulary.rows(&document.lines)? {
            cut.n_cut += usize::from(line.len() > max_tokens);
            line.truncate(max_tokens);
            let id = |row| match vocabulary.is_special(row) {
                true => UNKNOWN,
                false => CipherId(row.0),
            };
            // A line of control characters has no token.
            if !line.is_empty() {
                cut.lines.push(line.into_iter().map(id).collect());
            }
        }
        Ok(cut)
    }

    fn encode(self, vocab: &CipherVocab) -> EncodedDocument {
        let encode = |line: Vec<CipherId>| {
            let rows = line.into_iter();
            rows.map(|id| vocab.row(id).unwrap_or(reserved::UNK))
                .collect()
        };
        EncodedDocument {
            lines: self.lines.into_iter().map(encode).collect(),
            held_out: self.held_out,
        }
    }
}
