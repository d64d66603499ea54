//! `mapping.tsv`: which plaintext row each cipher id starts from.
//!
//! In: the rows that an alignment has chosen, or a table that one has left. Out: the table, and what each row of the new
//! embedding starts from. A mapping is an initialiser of embeddings, no decoder: nothing here writes sentences.

use std::ops::Range;
use std::path::Path;

use super::plain::{PlainId, PlainVocab};
use crate::atomic;
use crate::data::table::{Table, quoted};
use crate::data::{CipherId, Dictionary, reserved};
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};

/// Names of the columns. The last four are empty for methods that do not weigh candidates.
pub const COLUMNS: [&str; 9] = [
    "cipher_id",
    "count",
    "plain_token",
    "plain_count",
    "method",
    "margin",
    "mutual",
    "confidence",
    "top3",
];

/// Ids of the first frequency band; each further band has as many as all before it.
const FIRST_BAND: usize = 100;

/// One cipher id.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingRow {
    /// The kept id.
    pub cipher_id: CipherId,
    /// Its occurrences in the rows.
    pub count: u64,
    /// The row, for methods that choose one: `None` where it starts from fresh values (scratch) or from candidates;
    /// `[UNK]` where `align.file` does not name it.
    pub plain: Option<PlainId>,
    /// Occurrences of the plaintext token, 0 where none were counted.
    pub plain_count: u64,
    /// What chose the row.
    pub method: &'static str,
    /// What was found, for methods that weigh candidates.
    pub found: Option<Found>,
}

/// The plaintext tokens that an id may stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Best first, three or fewer; none where nothing is trusted.
    pub candidates: Vec<Candidate>,
    /// Score of the first candidate less that of the next.
    pub margin: f32,
    /// Whether id and token are each other's best.
    pub mutual: bool,
    /// Estimated chance that the first candidate is right, 0 to 1.
    pub confidence: f32,
}

/// A plaintext token that an id may stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// A character, WordPiece or word.
    pub token: String,
    /// The rows of its pieces, one or more; it starts from their mean.
    pub rows: Vec<PlainId>,
    /// Share of the belief, above 0 and at most 1.
    pub weight: f32,
}

/// One row a kept cipher id, in vocabulary order.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// In the order of `CipherVocab::kept`.
    pub rows: Vec<MappingRow>,
    /// Ids that wrapped round past the last plaintext token.
    pub wrapped: usize,
}

/// What a row of the new embedding starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum RowStart {
    /// A plaintext row as it is.
    Copy(PlainId),
    /// The mean of plaintext rows by these weights, which are above 0.
    Mean(Vec<(PlainId, f32)>),
    /// A random row near the others of this range of the new vocabulary: entry by entry, their mean and Gaussian noise of
    /// their spread. Only rows that start from plaintext count: those of the range, or where it has none all of the vocabulary's.
    Band(Range<usize>, Key),
}

impl Mapping {
    /// Writes [`Mapping::table`], whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] from the system.
    pub fn write(&self, path: &Path, dictionary: &Dictionary, plain: &PlainVocab) -> Result<()> {
        atomic::write(path, &self.table(dictionary, plain)?)
    }

    /// The [`COLUMNS`] with a header, tab-separated; a field that holds a quote stands in quotes (RFC 4180). `top3` is
    /// `token:weight` joined by blanks.
    ///
    /// # Errors
    /// [`Error::Unexpected`], never seen.
    pub fn table(&self, dictionary: &Dictionary, plain: &PlainVocab) -> Result<Vec<u8>> {
        let failed = |error| Error::Unexpected(format!("mapping as a table: {error}"));
        let mut bytes = Vec::new();
        let filled = self.fill(&mut bytes, dictionary, plain);
        filled.map_err(failed)?;
        Ok(bytes)
    }

    fn fill(
        &self,
        bytes: &mut Vec<u8>,
        dictionary: &Dictionary,
        plain: &PlainVocab,
    ) -> std::io::Result<()> {
        let mut table = csv::WriterBuilder::new()
            .delimiter(b'\t')
            .from_writer(bytes);
        table.write_record(COLUMNS)?;
        for row in &self.rows {
            let first = row
                .found
                .as_ref()
                .and_then(|found| found.candidates.first());
            let token = first.map(|first| first.token.as_str());
            let token = token.or_else(|| row.plain.map(|id| plain.token(id)));
            table.write_field(dictionary.name(row.cipher_id))?;
            table.write_field(row.count.to_string())?;
            table.write_field(token.unwrap_or_default())?;
            table.write_field(row.plain_count.to_string())?;
            table.write_field(row.method)?;
            match &row.found {
                Some(found) => table.write_record(found.fields())?,
                None => table.write_record([""; 4])?,
            }
        }
        table.flush()
    }

    /// What each row of the run's vocabulary (7 + kept + `n_class_tokens`) starts from: PAD, UNK, CLS, SEP, MASK, UNK, UNK,
    /// then one a kept id, then the tokens that name classes. `None` for scratch. The answers NO and YES and the class
    /// tokens start as copies of `[UNK]` and part by training only. With `soft` an id starts from the mean of its candidates
    /// by their weights, else from the first alone; without candidates from its frequency band, with noise from `key`.
    pub fn starts(
        &self,
        plain: &PlainVocab,
        soft: bool,
        key: Key,
        n_class_tokens: usize,
    ) -> Option<Vec<RowStart>> {
        let of = plain.specials();
        let reserved = [of.pad, of.unk, of.cls, of.sep, of.mask, of.unk, of.unk];
        let key = key.with(Purpose::Noise);
        let kept = self.rows.iter().enumerate().map(|(at, row)| {
            let Some(found) = &row.found else {
                return row.plain.map(RowStart::Copy);
            };
            let n = if soft { found.candidates.len() } else { 1 };
            let chosen = found.candidates.iter().take(n);
            let pieces = chosen.flat_map(|candidate| {
                let weight = candidate.weight / candidate.rows.len() as f32;
                candidate.rows.iter().map(move |&row| (row, weight))
            });
            let pieces: Vec<_> = pieces.collect();
            Some(match pieces.as_slice() {
                [] => RowStart::Band(
                    band(at, self.rows.len()),
                    key.at(u64::from(row.cipher_id.0)),
                ),
                [(row, _)] => RowStart::Copy(*row),
                _ => RowStart::Mean(pieces),
            })
        });
        let copy = |row| Some(RowStart::Copy(row));
        let classes = std::iter::repeat_n(of.unk, n_class_tokens).map(copy);
        let reserved = reserved.into_iter().map(copy);
        reserved.chain(kept).chain(classes).collect()
    }
}

/// The frequency band of a kept id, in rows of the run's vocabulary. The first holds [`FIRST_BAND`] ids.
fn band(at: usize, n_kept: usize) -> Range<usize> {
    let (mut begin, mut end) = (0, FIRST_BAND);
    while at >= end {
        (begin, end) = (end, 2 * end);
    }
    let first = reserved::FIRST_CIPHER as usize;
    first + begin..first + end.min(n_kept)
}

impl Found {
    /// From the last four fields of a row of the table; none where they are empty. `rows` gives the rows of a token,
    /// which has some.
    ///
    /// # Errors
    /// [`Error::Input`] for a field that is not of its form; those of `rows`.
    pub fn parse(
        table: &Table,
        columns: [usize; 4],
        rows: impl Fn(&str) -> Result<Vec<PlainId>>,
    ) -> Result<Option<Self>> {
        let field = |at: usize| table.fields().get(columns[at]).unwrap_or_default();
        let bad = |at: usize, expected: &str| {
            let place = table.place().field(columns[at] + 1);
            Error::input(place, expected, quoted(field(at)))
                .with_hint("get the file again: it was changed")
        };
        if (0..4).all(|at| field(at).is_empty()) {
            return Ok(None);
        }
        let number = |at: usize| {
            let parsed = field(at)
                .parse()
                .ok()
                .filter(|number: &f32| number.is_finite());
            parsed.ok_or_else(|| bad(at, "a number"))
        };
        let candidate = |text: &str| {
            let parts = text.rsplit_once(':');
            let parts =
                parts.and_then(|(token, weight)| Some((token, weight.parse::<f32>().ok()?)));
            let (token, weight) = parts
                .filter(|(_, weight)| *weight > 0.0 && *weight <= 1.0)
                .ok_or_else(|| bad(3, "`token:weight` with weights above 0 and at most 1"))?;
            Ok(Candidate {
                rows: rows(token)?,
                token: token.to_owned(),
                weight,
            })
        };
        let top = field(3).split(' ').filter(|text| !text.is_empty());
        Ok(Some(Self {
            margin: number(0)?,
            mutual: match field(1) {
                "0" => false,
                "1" => true,
                _ => return Err(bad(1, "0 or 1")),
            },
            confidence: number(2)?,
            candidates: top.map(candidate).collect::<Result<_>>()?,
        }))
    }

    fn fields(&self) -> [String; 4] {
        let shown = |candidate: &Candidate| format!("{}:{}", candidate.token, candidate.weight);
        let top: Vec<String> = self.candidates.iter().map(shown).collect();
        [
            self.margin.to_string(),
            u8::from(self.mutual).to_string(),
            self.confidence.to_string(),
            top.join(" "),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TokenKind;

    fn plain() -> PlainVocab {
        let tokens = "[MASK] [SEP] [CLS] [UNK] [PAD] 的 \" #".split(' ');
        PlainVocab::from_tokens(tokens.map(str::to_owned).collect(), Path::new("v")).expect("valid")
    }

    fn row(id: u32, plain: Option<u32>, found: Option<Found>) -> MappingRow {
        MappingRow {
            cipher_id: CipherId(id),
            count: 9,
            plain: plain.map(PlainId),
            plain_count: 4,
            method: if found.is_some() { "graph" } else { "rank" },
            found,
        }
    }

    fn mapping(plain: &[Option<u32>]) -> Mapping {
        let rows = (0..).zip(plain).map(|(id, plain)| row(id, *plain, None));
        Mapping {
            rows: rows.collect(),
            wrapped: 0,
        }
    }

    fn found(candidates: &[(&str, &[u32], f32)]) -> Option<Found> {
        let candidates = candidates.iter().map(|(token, rows, weight)| Candidate {
            token: (*token).to_owned(),
            rows: rows.iter().copied().map(PlainId).collect(),
            weight: *weight,
        });
        Some(Found {
            candidates: candidates.collect(),
            margin: 0.25,
            mutual: true,
            confidence: 0.75,
        })
    }

    #[test]
    fn starts_by_hand() {
        let key = Key::from_seed(1);
        let rows = mapping(&[Some(6), Some(5)]).starts(&plain(), true, key, 0);
        let expected = [4, 3, 2, 1, 0, 3, 3, 6, 5].map(|row| RowStart::Copy(PlainId(row)));
        assert_eq!(rows.as_deref(), Some(&expected[..]));
        assert_eq!(mapping(&[None, None]).starts(&plain(), true, key, 3), None);

        // A word of two rows at .5, a token at .25; then nothing trusted.
        let mapping = Mapping {
            rows: vec![
                row(4, None, found(&[("的\"", &[5, 6], 0.5), ("#", &[7], 0.25)])),
                row(9, None, found(&[])),
                row(2, None, found(&[("#", &[7], 0.5)])),
            ],
            wrapped: 0,
        };
        let mean = |parts: &[(u32, f32)]| {
            RowStart::Mean(
                parts
                    .iter()
                    .map(|&(row, weight)| (PlainId(row), weight))
                    .collect(),
            )
        };
        let soft = mapping
            .starts(&plain(), true, key, 2)
            .expect("not from scratch");
        assert_eq!(soft[7], mean(&[(5, 0.25), (6, 0.25), (7, 0.25)]));
        assert!(matches!(&soft[8], RowStart::Band(band, _) if *band == (7..10)));
        assert_eq!(soft[9], RowStart::Copy(PlainId(7)));
        // Two classes behind the ids.
        assert_eq!(soft[10..], [3, 3].map(|row| RowStart::Copy(PlainId(row))));
        let hard = mapping
            .starts(&plain(), false, key, 2)
            .expect("not from scratch");
        assert_eq!(hard[7], mean(&[(5, 0.25), (6, 0.25)]));
        assert_eq!(hard[8..], soft[8..]);
    }

    #[test]
    fn bands_double() {
        let bands = [0, 99, 100, 199, 200, 399, 400].map(|at| band(at, 500));
        let expected = [
            7..107,
            7..107,
            107..207,
            107..207,
            207..407,
            207..407,
            407..507,
        ];
        assert_eq!(bands, expected);
    }

    #[test]
    fn written_table() {
        let mut dictionary = Dictionary::new(TokenKind::Text);
        for token in ["a\"b", "#", "x"] {
            dictionary.id(token);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mapping.tsv");
        let mut mapping = mapping(&[Some(6), None]);
        let both = found(&[("的#", &[5, 7], 0.5), (":", &[7], 0.1)]);
        mapping.rows.push(row(2, None, both));
        mapping
            .write(&path, &dictionary, &plain())
            .expect("writable");
        assert_eq!(
            std::fs::read_to_string(&path).expect("written"),
            "cipher_id\tcount\tplain_token\tplain_count\tmethod\tmargin\tmutual\tconfidence\ttop3\n\
             \"a\"\"b\"\t9\t\"\"\"\"\t4\trank\t\t\t\t\n#\t9\t\t4\trank\t\t\t\t\n\
             x\t9\t的#\t4\tgraph\t0.25\t1\t0.75\t的#:0.5 ::0.1\n"
        );
    }
}
