//! The first minute with a new competition: what its files hold.
//!
//! In: files as read. Out: a [`Survey`] of rows, labels, lengths, vocabulary, duplicates, shared sentences, and which
//! validation split resembles the test file. Pure: does not read, print or decide.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;

use super::label_survey::LabelSurvey;
use crate::data::split::{ValidSplit, components, shared_share, valid_rows};
use crate::data::{CipherId, Example, ExampleFile, LabelKind, Task};
use crate::metrics::auc;
use crate::metrics::baseline::jaccard;

/// Thresholds of [`Survey::vocabulary`]: 5 is the reference's `min_count`.
const MIN_COUNTS: [u64; 5] = [1, 2, 5, 10, 100];

/// All that is known of the files of a competition before training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// Train files, then test files, then unlabelled ones.
    pub files: Vec<FileSurvey>,
    /// Over the tokens of all files.
    pub vocabulary: Vec<VocabularyBand>,
    /// The largest token id (for text tokens: their number less one).
    pub max_id: u32,
    /// Share of the train rows with a sentence that also stands in another train row, 0..=1.
    pub shared_within_train: f64,
    /// Components of train rows that are connected by shared sentences.
    pub components: usize,
    /// Rows of the largest component.
    pub largest_component: usize,
    /// AUC of the overlap |A ∩ B| / |A ∪ B| of the two sentences' sets of tokens against the train labels: what
    /// counting common tokens reaches. `None` without labels of both classes.
    pub jaccard_auc: Option<f64>,
    /// Share of the rows of all test files that share a sentence with train, 0..=1; `None` without a test file.
    pub test_shared_with_train: Option<f64>,
    /// Row-wise and grouped validation.
    pub splits: Vec<SplitSurvey>,
    /// The split whose shared share is nearest to the test files'; `None` without a test file.
    pub resembles_test: Option<ValidSplit>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Labelled rows.
    Train,
    /// Rows to score.
    Test,
    /// Further rows for the MLM.
    Unlabelled,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileSurvey {
    /// As the user named it.
    pub path: PathBuf,
    /// What it is for.
    pub role: Role,
    /// Examples.
    pub rows: usize,
    /// Whether it has a label column.
    pub has_labels: bool,
    /// Of labels 0 and 1: share of label 1, 0..=1.
    pub positive_share: Option<f64>,
    /// Figures of its labels; `None` without labels.
    pub labels: Option<LabelSurvey>,
    /// Tokens a sentence.
    pub sentence_tokens: Lengths,
    /// Tokens of all texts of a row together, which `data.max_tokens` bounds.
    pub pair_tokens: Lengths,
    /// Rows whose pair stands in an earlier row, in the same order.
    pub duplicate_rows: usize,
    /// Rows whose pair stands in an earlier row with its sentences exchanged only.
    pub swapped_rows: usize,
    /// Different sentences.
    pub distinct_sentences: usize,
    /// Share of its tokens that train does not hold, 0..=1; `None` for train files.
    pub unseen_tokens: Option<f64>,
    /// Share of its rows that share a sentence with train, 0..=1; `None` for train files.
    pub shared_with_train: Option<f64>,
}

/// Lengths in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lengths {
    /// Arithmetic mean.
    pub mean: f64,
    /// Mean of the middle two where their number is even.
    pub median: f64,
    /// The smallest length that 95 % do not pass (nearest rank).
    pub percentile_95: usize,
    /// The longest.
    pub max: usize,
}

/// How much of the vocabulary a `min_count` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VocabularyBand {
    /// Kept from this count on.
    pub min_count: u64,
    /// Different tokens kept.
    pub types: usize,
    /// Their occurrences.
    pub tokens: u64,
}

/// One way to hold out train rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SplitSurvey {
    /// Which.
    pub split: ValidSplit,
    /// Validation rows.
    pub rows: usize,
    /// Share of label 1 among them, 0..=1.
    pub positive_share: Option<f64>,
    /// Share of them that share a sentence with the remaining train rows, 0..=1.
    pub shared_with_train: f64,
}

/// Surveys the files of a competition; any of the lists may be empty.
pub fn survey(
    train: &[ExampleFile],
    test: &[ExampleFile],
    unlabelled: &[ExampleFile],
    task: &Task,
) -> Survey {
    let train_rows = rows_of(train);
    let known: HashSet<CipherId> = train_rows
        .iter()
        .copied()
        .flat_map(Example::tokens)
        .collect();
    let roles = [
        (train, Role::Train),
        (test, Role::Test),
        (unlabelled, Role::Unlabelled),
    ];
    let files = roles
        .into_iter()
        .flat_map(|(files, role)| files.iter().map(move |file| (file, role)))
        .map(|(file, role)| survey_file(file, role, (&train_rows, &known), task))
        .collect();
    let all_rows = [train, test, unlabelled].into_iter().flat_map(rows_of);
    let (vocabulary, max_id) = survey_vocabulary(all_rows);
    let splits =
        [ValidSplit::Row10, ValidSplit::Group].map(|split| survey_split(&train_rows, split, task));
    let test_share =
        (!test.is_empty()).then(|| shared_share(rows_of(test), train_rows.iter().copied()));
    let component_rows = component_rows(&train_rows);
    Survey {
        files,
        vocabulary,
        max_id,
        shared_within_train: shared_within(&train_rows),
        components: component_rows.len(),
        largest_component: component_rows.into_iter().max().unwrap_or(0),
        jaccard_auc: jaccard_auc(&train_rows, task),
        test_shared_with_train: test_share,
        resembles_test: test_share.and_then(|share| nearest(&splits, share)),
        splits: splits.into(),
    }
}

fn survey_file(
    file: &ExampleFile,
    role: Role,
    (train_rows, known): (&[&Example], &HashSet<CipherId>),
    task: &Task,
) -> FileSurvey {
    let pairs: Vec<&Example> = file.examples.iter().collect();
    let sentence_lengths = pairs
        .iter()
        .flat_map(|pair| pair.texts().map(<[CipherId]>::len));
    let pair_lengths = pairs.iter().map(|pair| pair.tokens().count());
    let (duplicate_rows, swapped_rows) = repeated_rows(&pairs);
    let distinct: HashSet<_> = pairs.iter().copied().flat_map(Example::texts).collect();
    let other = role != Role::Train;
    FileSurvey {
        path: file.path.clone(),
        role,
        rows: pairs.len(),
        has_labels: file.has_labels,
        positive_share: positive_share(&pairs, task),
        labels: LabelSurvey::of(&pairs, task),
        sentence_tokens: lengths(sentence_lengths.collect()),
        pair_tokens: lengths(pair_lengths.collect()),
        duplicate_rows,
        swapped_rows,
        distinct_sentences: distinct.len(),
        unseen_tokens: other.then(|| unseen_share(&pairs, known)),
        shared_with_train: other
            .then(|| shared_share(pairs.iter().copied(), train_rows.iter().copied())),
    }
}

fn survey_split(train_rows: &[&Example], split: ValidSplit, task: &Task) -> SplitSurvey {
    let mut is_valid = vec![false; train_rows.len()];
    for row in valid_rows(train_rows, split) {
        is_valid[row] = true;
    }
    let part = |wanted: bool| -> Vec<&Example> {
        let rows = train_rows.iter().zip(&is_valid);
        rows.filter(|(_, valid)| **valid == wanted)
            .map(|(pair, _)| *pair)
            .collect()
    };
    let (valid, rest) = (part(true), part(false));
    SplitSurvey {
        split,
        rows: valid.len(),
        positive_share: positive_share(&valid, task),
        shared_with_train: shared_share(valid, rest),
    }
}

/// Of the splits that hold something out, the one nearest to `share`.
fn nearest(splits: &[SplitSurvey], share: f64) -> Option<ValidSplit> {
    let distance = |split: &SplitSurvey| (split.shared_with_train - share).abs();
    let usable = splits.iter().filter(|split| split.rows > 0);
    let nearest = usable.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    Some(nearest.split)
}

fn survey_vocabulary<'a>(rows: impl Iterator<Item = &'a Example>) -> (Vec<VocabularyBand>, u32) {
    let mut counts: HashMap<CipherId, u64> = HashMap::new();
    for id in rows.flat_map(Example::tokens) {
        *counts.entry(id).or_default() += 1;
    }
    let bands = MIN_COUNTS.map(|min_count| {
        let kept = || counts.values().filter(|count| **count >= min_count);
        VocabularyBand {
            min_count,
            types: kept().count(),
            tokens: kept().sum(),
        }
    });
    let max_id = counts.keys().map(|id| id.0).max().unwrap_or(0);
    (bands.into(), max_id)
}

fn rows_of(files: &[ExampleFile]) -> Vec<&Example> {
    files.iter().flat_map(|file| &file.examples).collect()
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn positive_share(rows: &[&Example], task: &Task) -> Option<f64> {
    match LabelSurvey::of(rows, task)? {
        LabelSurvey::Binary { positive_share } => Some(positive_share),
        _ => None,
    }
}

fn unseen_share(rows: &[&Example], known: &HashSet<CipherId>) -> f64 {
    let all = || rows.iter().copied().flat_map(Example::tokens);
    let unseen = all().filter(|id| !known.contains(id)).count();
    ratio(unseen, all().count()).unwrap_or(0.0)
}

fn lengths(mut lengths: Vec<usize>) -> Lengths {
    lengths.sort_unstable();
    let n = lengths.len();
    if n == 0 {
        return Lengths {
            mean: 0.0,
            median: 0.0,
            percentile_95: 0,
            max: 0,
        };
    }
    Lengths {
        mean: lengths.iter().sum::<usize>() as f64 / n as f64,
        median: (lengths[(n - 1) / 2] + lengths[n / 2]) as f64 / 2.0,
        percentile_95: lengths[(n * 95).div_ceil(100) - 1],
        max: lengths[n - 1],
    }
}

/// Rows that repeat an earlier one as it is, and those that repeat one only with its sentences exchanged.
fn repeated_rows(rows: &[&Example]) -> (usize, usize) {
    let mut seen = HashSet::new();
    let (mut same, mut swapped) = (0, 0);
    for pair in rows {
        let (a, b) = (pair.a.as_slice(), pair.b.as_deref().unwrap_or_default());
        if seen.contains(&(b, a)) && !seen.contains(&(a, b)) {
            swapped += 1;
        }
        same += usize::from(!seen.insert((a, b)));
    }
    (same, swapped)
}

/// Share of rows with a sentence that another of the rows holds too.
fn shared_within(rows: &[&Example]) -> f64 {
    let mut rows_with: HashMap<&[CipherId], usize> = HashMap::new();
    for pair in rows {
        let (a, b) = (&pair.a[..], pair.b.as_deref());
        *rows_with.entry(a).or_default() += 1;
        if let Some(b) = b.filter(|&b| b != a) {
            *rows_with.entry(b).or_default() += 1;
        }
    }
    let shared = rows
        .iter()
        .filter(|pair| pair.texts().any(|text| rows_with[text] > 1));
    ratio(shared.count(), rows.len()).unwrap_or(0.0)
}

/// Rows of each component.
fn component_rows(rows: &[&Example]) -> Vec<usize> {
    let mut sizes = Vec::new();
    for component in components(rows) {
        if component == sizes.len() {
            sizes.push(0); // numbered by first row, so a new one is always the next
        }
        sizes[component] += 1;
    }
    sizes
}

fn jaccard_auc(rows: &[&Example], task: &Task) -> Option<f64> {
    if task.labels != LabelKind::Binary {
        return None;
    }
    let (labels, scores): (Vec<bool>, Vec<f32>) = rows
        .iter()
        .filter_map(|pair| {
            Some((
                pair.target.is_positive()?,
                jaccard(&pair.a, pair.b.as_ref()?),
            ))
        })
        .unzip();
    auc(&labels, &scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Classes, Dictionary, ExampleFormat, Labels, Target, TokenKind, read_examples,
    };

    fn file(path: &str, rows: &[(&[u32], &[u32], Option<bool>)]) -> ExampleFile {
        let ids = |sentence: &[u32]| sentence.iter().copied().map(CipherId).collect();
        let pairs = rows.iter().map(|&(a, b, label)| Example {
            a: ids(a),
            b: Some(ids(b)),
            target: label.map_or(Target::Unknown, Target::from),
        });
        ExampleFile {
            path: path.into(),
            examples: pairs.collect(),
            has_labels: rows.iter().any(|row| row.2.is_some()),
            found_columns: None,
        }
    }

    #[test]
    fn facts_by_hand() {
        let train = file(
            "train",
            &[
                (&[1, 2], &[1, 2, 3], Some(true)),
                (&[1, 2, 3], &[1, 2], Some(true)), // swapped
                (&[1, 2], &[1, 2, 3], Some(true)), // duplicate
                (&[4], &[5, 5, 5, 5], Some(false)),
            ],
        );
        let test = file("test", &[(&[1, 2], &[9], None), (&[4, 5], &[9], None)]);
        let survey = survey(&[train], &[test], &[], &Task::binary_pairs());
        let [train, test] = &survey.files[..] else {
            panic!("two files")
        };
        assert_eq!(
            (train.rows, train.role, train.has_labels),
            (4, Role::Train, true)
        );
        assert_eq!(train.positive_share, Some(0.75));
        assert_eq!((train.duplicate_rows, train.swapped_rows), (1, 1));
        assert_eq!(train.distinct_sentences, 4);
        // Lengths 1 2 2 2 3 3 3 4: mean 20/8, median (2 + 3)/2, 95 % of 8 is the 8th.
        let expected = Lengths {
            mean: 2.5,
            median: 2.5,
            percentile_95: 4,
            max: 4,
        };
        assert_eq!(train.sentence_tokens, expected);
        assert_eq!(train.pair_tokens.mean, 5.0);
        assert_eq!(train.unseen_tokens, None);
        assert_eq!((test.positive_share, test.has_labels), (None, false));
        assert_eq!(test.unseen_tokens, Some(2.0 / 6.0));
        assert_eq!(test.shared_with_train, Some(0.5));
        // Counts: 1 and 2 seven times, 3 three, 4 two, 5 five, 9 two.
        let bands: Vec<_> = survey
            .vocabulary
            .iter()
            .map(|b| (b.min_count, b.types, b.tokens))
            .collect();
        assert_eq!(
            bands,
            [(1, 6, 26), (2, 6, 26), (5, 3, 19), (10, 0, 0), (100, 0, 0)]
        );
        assert_eq!(survey.max_id, 9);
        assert_eq!(survey.shared_within_train, 0.75);
        assert_eq!((survey.components, survey.largest_component), (2, 3));
        assert_eq!(survey.jaccard_auc, Some(1.0)); // 2/3 for the positives, 0 for the negative
        assert_eq!(survey.test_shared_with_train, Some(0.5));
        // Row 0 alone validates row-wise, and shares its sentences.
        assert_eq!(
            (survey.splits[0].rows, survey.splits[0].shared_with_train),
            (1, 1.0)
        );
        assert_eq!(
            (survey.splits[1].rows, survey.splits[1].shared_with_train),
            (0, 0.0)
        );
        assert_eq!(survey.resembles_test, Some(ValidSplit::Row10));
    }

    #[test]
    fn a_sentence_paired_with_itself_is_not_shared() {
        let train = file("train", &[(&[1], &[1], None), (&[2], &[3], None)]);
        let survey = survey(&[train], &[], &[], &Task::binary_pairs());
        assert_eq!(survey.shared_within_train, 0.0);
        assert_eq!((survey.jaccard_auc, survey.resembles_test), (None, None));
    }

    #[test]
    fn no_files_at_all() {
        let survey = survey(&[], &[], &[], &Task::binary_pairs());
        assert_eq!((survey.files.len(), survey.components), (0, 0));
    }

    /// Facts of the OPPO pairs that were counted elsewhere.
    #[test]
    fn oppo_facts() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/oppo");
        if !folder.is_dir() {
            return crate::progress::skipped("no OPPO pairs beside the project");
        }
        let mut dictionary = Dictionary::new(TokenKind::Number);
        let mut read = |name: &str| {
            let path = folder.join(name);
            let format = ExampleFormat::default();
            let mut classes = Classes::new(&format);
            let labels = Labels::Optional(&mut classes);
            read_examples(&path, &format, labels, &mut dictionary).expect("a valid pair file")
        };
        let (train, test) = (read("train.tsv"), read("test.tsv"));
        let survey = survey(&[train], &[test], &[], &Task::binary_pairs());
        let near = |found: f64, expected: f64, within: f64| {
            assert!((found - expected).abs() < within, "{found}, not {expected}");
        };
        assert_eq!(
            (survey.files[0].rows, survey.files[1].rows),
            (78_197, 39_607)
        );
        near(
            survey.files[0].positive_share.expect("labelled"),
            0.361,
            0.001,
        );
        near(survey.files[0].sentence_tokens.mean, 6.4, 0.1);
        // 94.91 % of the train sentences have 11 tokens at most, 95.10 % of the test sentences.
        assert_eq!(survey.files[0].sentence_tokens.percentile_95, 12);
        assert_eq!(survey.files[1].sentence_tokens.percentile_95, 11);
        assert_eq!(survey.files[0].sentence_tokens.max, 51);
        let repeated = (survey.files[0].duplicate_rows, survey.files[0].swapped_rows);
        assert_eq!(repeated, (1566, 171));
        assert_eq!(survey.files[0].distinct_sentences, 137_173);
        assert_eq!(survey.files[1].duplicate_rows, 0);
        near(survey.splits[0].shared_with_train, 0.33, 0.01);
        assert_eq!(survey.splits[1].shared_with_train, 0.0);
        near(
            survey.test_shared_with_train.expect("a test file"),
            0.32,
            0.01,
        );
        near(survey.jaccard_auc.expect("labelled"), 0.72, 0.01);
        assert_eq!(survey.resembles_test, Some(ValidSplit::Row10));
    }
}
