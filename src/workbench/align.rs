//! Alignment of files with plaintext, apart from any run: a mapping, and what is known of it.
//!
//! In: files as a run reads them, plain text files, a BERT folder; pairs that are known, and where there is one the key. Out: `mapping.tsv`
//! for `align.method = "file"`, and an [`AlignReport`]. The key is only compared with; it takes no part in the alignment.
//! No sentence is decoded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::alignment::AlignmentSource;
use super::{Context, machine};
use crate::align::{Alignment, Estimate, GraphReport, anchors, estimate};
use crate::checkpoint::Checkpoint;
use crate::config::{AlignConfig, Experiment};
use crate::data::truncate::truncate;
use crate::data::{CipherId, Dictionary, EncodedExample, Example, Labels, read_examples};
use crate::error::{Error, Place, Result};
use crate::random::Key;
use crate::vocab::{CipherVocab, PlainVocab, Segmenter, Unit};

/// An id with this confidence or more counts as told.
const EXPOSED: f64 = 0.95;
/// So many of them are named.
const MOST_EXPOSED: usize = 20;

/// What to align, with what.
#[derive(Debug, Clone)]
pub struct AlignOptions<'a> {
    /// Files of rows; labels are not looked at.
    pub files: &'a [PathBuf],
    /// By graph; with plain text files.
    pub settings: AlignConfig,
    /// The BERT folder.
    pub checkpoint: &'a Path,
    /// What every id stands for, to be judged by.
    pub key: Option<&'a Path>,
    /// Root of the randomness.
    pub seed: u64,
}

/// What came of it; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlignReport {
    /// The mapping; none where it was not asked for.
    pub out: Option<PathBuf>,
    /// Share of the tokens of aligned ids whose first candidate is what the key says, 0 to 1; none without a key.
    pub token_accuracy: Option<f64>,
    /// Share of the ids.
    pub type_accuracy: Option<f64>,
    /// Share of the tokens whose plaintext token is one that the plaintext has.
    pub reachable_tokens: Option<f64>,
    /// Share of those that are right.
    pub reachable_accuracy: Option<f64>,
    /// By frequency band; without a key what is known without one.
    pub bands: Vec<BandReport>,
    /// What can be said without a key.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Mean confidence of the pairs, by tokens, 0 to 1. Rough where the estimate cannot tell: .2 off for one cipher in ten.
    pub mean_confidence: f64,
    /// Share of the tokens whose id has a confidence above a half; none where the estimate cannot tell.
    pub trusted_tokens: Option<f64>,
    /// The frequent ids whose pairs are the surest, most frequent first; none where the estimate cannot tell.
    pub exposed: Vec<ExposedId>,
    /// Tokens in the rows, those of rare ids too.
    pub cipher_tokens: u64,
    /// Wall time.
    pub seconds: f64,
    /// Most memory held; none where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// What is known without a key.
    #[serde(flatten)]
    pub quality: GraphReport,
}

/// An id that is very likely told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExposedId {
    /// The id as it stands in the files.
    pub id: String,
    /// Its share of all tokens, 0 to 1.
    pub tokens: f64,
    /// Estimated chance that its first candidate is right, 0 to 1.
    pub confidence: f64,
}

/// Ids of about the same frequency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BandReport {
    /// The first rank, from 1.
    pub first: usize,
    /// The last rank.
    pub last: usize,
    /// Share of all tokens, 0 to 1.
    pub tokens: f64,
    /// Share of the band's tokens whose id has a confidence above a half; none where the estimate cannot tell.
    pub trusted: Option<f64>,
    /// As [`AlignReport::token_accuracy`], in the band.
    pub token_accuracy: Option<f64>,
    /// As [`AlignReport::type_accuracy`], in the band.
    pub type_accuracy: Option<f64>,
}

/// Aligns, and writes the mapping to `out` if there is one. Of `experiment` count the way files are read, `data.max_tokens`,
/// `vocab.min_count` and `train.precision`, as in a run.
///
/// # Errors
/// Those of the files, of the plaintext and of the anchors; [`Error::Input`] for a key of other files; [`Error::Io`];
/// [`Error::Interrupted`].
pub fn align(
    options: &AlignOptions,
    experiment: &Experiment,
    out: Option<&Path>,
    context: Context,
) -> Result<AlignReport> {
    let begun = Instant::now();
    require_weights(options)?;
    let plain = PlainVocab::open(options.checkpoint)?;
    let rows = CipherRows::read(options.files, experiment)?;
    let key = match options.key {
        Some(path) => Some(TrueTokens::read(path, &rows, options.checkpoint, &plain)?),
        None => None,
    };
    context.stop.check()?;
    let open = || Checkpoint::open(options.checkpoint);
    let checkpoint = options.settings.refine.then(open).transpose()?;
    let examples: Vec<&EncodedExample> = rows.encoded.iter().collect();
    let source = AlignmentSource {
        settings: &options.settings,
        vocab: &rows.vocab,
        dictionary: &rows.dictionary,
        examples: &examples,
        folder: Some(options.checkpoint),
        plain: &plain,
        checkpoint: checkpoint.as_ref(),
        precision: experiment.train.precision,
        key: Key::from_seed(options.seed),
    };
    let alignment = source.align(context)?;
    if let Some(out) = out {
        let mapping = &alignment.mapping;
        mapping.write(out, &rows.dictionary, &plain)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    report(&rows, alignment, key.as_ref(), (out, seconds))
}

/// Rows without labels, truncated as a run reads them.
struct CipherRows {
    dictionary: Dictionary,
    vocab: CipherVocab,
    encoded: Vec<EncodedExample>,
}

impl CipherRows {
    fn read(files: &[PathBuf], experiment: &Experiment) -> Result<Self> {
        let mut dictionary = Dictionary::new(experiment.data.tokens);
        let mut examples: Vec<Example> = Vec::new();
        for path in files {
            let file = read_examples(path, &experiment.format(), Labels::Ignored, &mut dictionary)?;
            examples.extend(file.examples);
        }
        for example in &mut examples {
            truncate(example, experiment.data.max_tokens);
        }
        let min_count = experiment.vocab.min_count;
        let vocab = CipherVocab::count(&examples, min_count);
        if vocab.kept.is_empty() {
            let place = Place::file(files.first().map_or(Path::new("--pairs"), PathBuf::as_path));
            let expected = format!("a token that stands in the rows {min_count} times or more");
            return Err(Error::input(place, expected, "none").with_hint("lower vocab.min_count"));
        }
        Ok(Self {
            encoded: examples.iter().map(|row| vocab.encode(row)).collect(),
            dictionary,
            vocab,
        })
    }
}

fn require_weights(options: &AlignOptions) -> Result<()> {
    let (files, weights) = (
        options.settings.plain.len(),
        options.settings.plain_weights.len(),
    );
    if weights != 0 && weights != files {
        return Err(Error::refused(format!(
            "--plain-weight has {weights} numbers, --plain {files} files"
        ))
        .with_hint("give one weight a file, or none"));
    }
    let bad = |weight: &&f64| !(**weight > 0.0 && weight.is_finite());
    match options.settings.plain_weights.iter().find(bad) {
        Some(weight) => Err(Error::refused(format!(
            "--plain-weight {weight}: weights are above 0"
        ))),
        None => Ok(()),
    }
}

/// What the kept ids stand for, by the key.
struct TrueTokens(HashMap<CipherId, String>);

impl TrueTokens {
    /// Refuses the key of another cipher: one that lacks an id of the rows, or whose tokens the checkpoint does not know.
    fn read(path: &Path, rows: &CipherRows, checkpoint: &Path, plain: &PlainVocab) -> Result<Self> {
        let known = anchors::read(path, &rows.dictionary, &rows.vocab)?;
        let tokens: HashMap<CipherId, String> = known
            .into_iter()
            .filter_map(|known| Some((known.cipher_id?, known.plain_token)))
            .collect();
        let hint = "name the key.tsv that was written with these pairs";
        for (id, _) in &rows.vocab.kept {
            if !tokens.contains_key(id) {
                let name = rows.dictionary.name(*id);
                let expected = "every token of the pair files";
                let error = Error::input(Place::file(path), expected, format!("no `{name}`"));
                return Err(error.with_hint(hint));
            }
        }
        let segmenter = Segmenter::open(checkpoint, Unit::Char)?;
        for (id, _) in &rows.vocab.kept {
            if !segmenter.rows(&tokens[id], plain)?.is_empty() {
                return Ok(Self(tokens));
            }
        }
        let expected = "plaintext tokens of the checkpoint's vocabulary";
        Err(Error::input(Place::file(path), expected, "none of them").with_hint(hint))
    }
}

fn report(
    rows: &CipherRows,
    Alignment { mapping, quality }: Alignment,
    key: Option<&TrueTokens>,
    (out, seconds): (Option<&Path>, f64),
) -> Result<AlignReport> {
    let quality =
        quality.ok_or_else(|| Error::Unexpected("an alignment without figures".to_owned()))?;
    let judged: Vec<Judged> = mapping
        .rows
        .iter()
        .map(|row| {
            let found = row.found.as_ref();
            let first = found.and_then(|found| found.candidates.first());
            let truth = key.and_then(|key| key.0.get(&row.cipher_id));
            Judged {
                count: row.count,
                confidence: found
                    .filter(|_| first.is_some())
                    .map_or(0.0, |found| f64::from(found.confidence)),
                is_right: truth.map(|truth| first.is_some_and(|first| first.token == *truth)),
                is_reachable: truth.is_some_and(|truth| quality.plain_tokens.contains_key(truth)),
            }
        })
        .collect();
    let all = Judgement::of(&judged);
    let reachable: Vec<Judged> = judged
        .iter()
        .filter(|one| one.is_reachable)
        .copied()
        .collect();
    let reachable = key.map(|_| Judgement::of(&reachable));
    let estimate = estimate(&quality);
    let can_tell = estimate.share.is_some();
    let bands = quality.coverage.iter().map(|band| {
        let within = &judged[(band.first - 1).min(judged.len())..band.last.min(judged.len())];
        let within = Judgement::of(within);
        BandReport {
            first: band.first,
            last: band.last,
            tokens: within.tokens / all.tokens,
            trusted: can_tell.then_some(within.trusted),
            token_accuracy: within.token_accuracy,
            type_accuracy: within.type_accuracy,
        }
    });
    Ok(AlignReport {
        out: out.map(Path::to_owned),
        token_accuracy: all.token_accuracy,
        type_accuracy: all.type_accuracy,
        reachable_tokens: reachable.as_ref().map(|part| part.tokens / all.tokens),
        reachable_accuracy: reachable.and_then(|part| part.token_accuracy),
        bands: bands.collect(),
        mean_confidence: all.expected,
        trusted_tokens: can_tell.then_some(all.trusted),
        exposed: match can_tell {
            true => exposed(rows, &judged, all.tokens),
            false => Vec::new(),
        },
        estimate,
        cipher_tokens: all.tokens as u64 + rows.vocab.rare_tokens,
        seconds,
        peak_rss_bytes: machine::peak_rss_bytes(),
        quality: *quality,
    })
}

/// Of the ids with a confidence of [`EXPOSED`] or more, the most frequent.
fn exposed(rows: &CipherRows, judged: &[Judged], tokens: f64) -> Vec<ExposedId> {
    let ids = rows.vocab.kept.iter().zip(judged);
    let sure = ids.filter(|(_, judged)| judged.confidence >= EXPOSED);
    let exposed = sure.map(|((id, count), judged)| ExposedId {
        id: rows.dictionary.name(*id),
        tokens: *count as f64 / tokens,
        confidence: judged.confidence,
    });
    exposed.take(MOST_EXPOSED).collect()
}

/// One id.
#[derive(Debug, Clone, Copy)]
struct Judged {
    count: u64,
    confidence: f64,
    is_right: Option<bool>,
    is_reachable: bool,
}

/// Several ids together.
struct Judgement {
    tokens: f64,
    trusted: f64,
    expected: f64,
    token_accuracy: Option<f64>,
    type_accuracy: Option<f64>,
}

impl Judgement {
    fn of(ids: &[Judged]) -> Self {
        let sum = |of: &dyn Fn(&Judged) -> f64| ids.iter().map(of).sum::<f64>();
        let tokens = sum(&|id| id.count as f64);
        let share = |of: &dyn Fn(&Judged) -> f64| {
            let part = sum(&|id| id.count as f64 * of(id));
            if tokens > 0.0 { part / tokens } else { 0.0 }
        };
        let right = |id: &Judged| f64::from(u8::from(id.is_right == Some(true)));
        let has_key = ids.first().is_some_and(|id| id.is_right.is_some());
        Self {
            tokens,
            trusted: share(&|id| f64::from(u8::from(id.confidence > 0.5))),
            expected: share(&|id| id.confidence),
            token_accuracy: has_key.then(|| share(&right)),
            type_accuracy: has_key.then(|| sum(&right) / ids.len() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgement_by_hand() {
        let id = |count, confidence, is_right| Judged {
            count,
            confidence,
            is_right,
            is_reachable: true,
        };
        // Of ten tokens six and one are right; six and three are trusted.
        let ids = [
            id(6, 0.9, Some(true)),
            id(3, 0.6, Some(false)),
            id(1, 0.2, Some(true)),
        ];
        let all = Judgement::of(&ids);
        assert_eq!((all.tokens, all.token_accuracy), (10.0, Some(0.7)));
        assert_eq!(all.type_accuracy, Some(2.0 / 3.0));
        assert!((all.trusted - 0.9).abs() < 1e-12);
        assert!((all.expected - 0.74).abs() < 1e-12); // (5.4 + 1.8 + .2) / 10
        assert_eq!(Judgement::of(&[id(6, 0.9, None)]).token_accuracy, None);
        assert_eq!(Judgement::of(&[]).trusted, 0.0);
    }
}
