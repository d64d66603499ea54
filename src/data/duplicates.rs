//! Rows and sentences that come twice, as they are or nearly so; what hangs together by them; labels that contradict each other.
//!
//! In: files of rows, and the similarity from which sentences are near-duplicates ([`super::near`]). Out: [`Duplicates`]: pairs of
//! rows, and counts. Rows are compared by their texts, token for token; what labels say together is [`chains`]. Reads no files, and
//! says nothing of what to do about it.
//!
//! A row is found by the first row of its texts: a text that comes a thousand times makes 999 findings and not half a million.

pub mod chains;

use petgraph::unionfind::UnionFind;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::example::{Example, Target};
use super::near::{NearPair, Sentences, near_pairs};
use crate::error::Result;

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its rows.
    pub rows: &'a [Example],
    /// Whether they are to train on: their labels say what belongs together.
    pub is_train: bool,
}

/// What two rows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The same texts.
    Exact,
    /// The same two texts, exchanged.
    Swapped,
    /// A sentence of the one is a near-duplicate of a sentence of the other, or of the same row.
    Near,
    /// The same or nearly the same texts, perhaps exchanged, and different labels.
    Contradiction,
    /// Label 0, and two texts that hang together by rows with label 1.
    Chain,
}

impl Kind {
    /// As it is written in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Swapped => "swapped",
            Self::Near => "near",
            Self::Contradiction => "contradiction",
            Self::Chain => "chain",
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowOfFile {
    /// Which file, from 0.
    pub file: usize,
    /// Which of its rows, from 0.
    pub row: usize,
}

/// Two rows that have something in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// The first row of the texts, or of the sentence; of a chain the row with label 1.
    pub first: RowOfFile,
    /// The other one; of a chain the row with label 0.
    pub second: RowOfFile,
    /// Similarity of the two sentences; of two pairs of texts that of the less similar texts; 1 for the same, and for a chain.
    pub similarity: f64,
}

/// All that [`find`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicates {
    /// By kind; of one kind by first and second row.
    pub findings: Vec<Finding>,
    /// Of all files.
    pub sentences: SentenceCounts,
    /// Sentences that hang together.
    pub components: ComponentCounts,
    /// For each file how much of it stands in train; none where no other file is train.
    pub with_train: Vec<Option<Overlap>>,
    /// Rows with a label that another row of the same or nearly the same texts contradicts.
    pub contradicting_rows: usize,
}

/// How often sentences come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SentenceCounts {
    /// Different ones.
    pub distinct: usize,
    /// Of these, in two rows or more.
    pub in_several_rows: usize,
    /// Of these, in two files or more.
    pub in_several_files: usize,
    /// Of these, with a near-duplicate.
    pub with_near_duplicate: usize,
    /// Pairs of near-duplicates.
    pub near_pairs: usize,
}

/// Components of sentences. Near-duplicates are joined, and the two texts of a row with a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ComponentCounts {
    /// How many.
    pub components: usize,
    /// Sentences of the largest.
    pub largest_sentences: usize,
    /// Rows with a sentence of it.
    pub largest_rows: usize,
    /// Train rows in a component that has a sentence of a test row.
    pub train_rows_across: usize,
    /// Test rows with a sentence in a component that has a train row.
    pub test_rows_across: usize,
}

/// Shares of the rows of a file, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// With a sentence that stands in (another) train file.
    pub exact: f64,
    /// With a sentence that stands there, as it is or nearly so.
    pub exact_or_near: f64,
}

/// A row by the numbers of its texts.
struct Row<'a> {
    at: RowOfFile,
    is_train: bool,
    a: usize,
    b: Option<usize>,
    target: &'a Target,
}

impl Row<'_> {
    /// Its different texts.
    fn sentences(&self) -> impl Iterator<Item = usize> {
        let b = self.b.filter(|&b| b != self.a);
        std::iter::once(self.a).chain(b)
    }

    /// Its texts, the same for both orders.
    fn key(&self) -> Key {
        key(self.a, self.b)
    }
}

type Key = (usize, Option<usize>);

fn key(a: usize, b: Option<usize>) -> Key {
    match b {
        Some(b) if b < a => (b, Some(a)),
        b => (a, b),
    }
}

/// The near-duplicates of each sentence, with their similarity.
type Neighbours = Vec<Vec<(usize, f64)>>;

/// Compares all rows of `files`; sentences are near-duplicates from the similarity `near` on, above 0 and up to 1. `advance` is told
/// how many more sentences were compared, and of how many in all; it may end the work.
///
/// # Errors
/// Those of [`near_pairs`].
pub fn find(
    files: &[Part],
    near: f64,
    mut advance: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Duplicates> {
    let mut sentences = Sentences::default();
    let rows = number_rows(files, &mut sentences);
    let n_sentences = sentences.all().len();
    let pairs = near_pairs(sentences.all(), near, |n| advance(n, n_sentences))?;
    let mut neighbours: Neighbours = vec![Vec::new(); n_sentences];
    for pair in &pairs {
        neighbours[pair.first].push((pair.second, pair.similarity));
        neighbours[pair.second].push((pair.first, pair.similarity));
    }
    let mut findings = repeated(&rows);
    findings.extend(near_findings(&rows, n_sentences, &pairs));
    let (contradictions, contradicting_rows) = contradictions(&rows, &neighbours);
    findings.extend(contradictions);
    findings.sort_by_key(|found| (found.kind, found.first, found.second));
    Ok(Duplicates {
        findings,
        sentences: SentenceCounts {
            near_pairs: pairs.len(),
            with_near_duplicate: neighbours.iter().filter(|near| !near.is_empty()).count(),
            ..count_sentences(&rows, n_sentences)
        },
        components: count_components(&rows, n_sentences, &pairs),
        with_train: overlaps(files, &rows, &neighbours),
        contradicting_rows,
    })
}

fn number_rows<'a>(files: &[Part<'a>], sentences: &mut Sentences<'a>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (file, part) in files.iter().enumerate() {
        for (row, example) in part.rows.iter().enumerate() {
            rows.push(Row {
                at: RowOfFile { file, row },
                is_train: part.is_train,
                a: sentences.number(&example.a),
                b: example.b.as_deref().map(|b| sentences.number(b)),
                target: &example.target,
            });
        }
    }
    rows
}

/// Rows that repeat an earlier one as it is; else those that repeat one with its texts exchanged.
fn repeated(rows: &[Row]) -> Vec<Finding> {
    let mut first_rows: FxHashMap<Key, RowOfFile> = FxHashMap::default();
    let mut findings = Vec::new();
    for row in rows {
        let same = first_rows.get(&(row.a, row.b));
        let swapped = row.b.and_then(|b| first_rows.get(&(b, Some(row.a))));
        let found = match (same, swapped) {
            (Some(&first), _) => Some((Kind::Exact, first)),
            (None, Some(&first)) => Some((Kind::Swapped, first)),
            (None, None) => None,
        };
        findings.extend(found.map(|(kind, first)| Finding {
            kind,
            first,
            second: row.at,
            similarity: 1.0,
        }));
        first_rows.entry((row.a, row.b)).or_insert(row.at);
    }
    findings
}

/// One finding a pair of near-duplicates: the first row of each.
fn near_findings(rows: &[Row], n_sentences: usize, pairs: &[NearPair]) -> Vec<Finding> {
    let mut first_rows: Vec<Option<RowOfFile>> = vec![None; n_sentences];
    for row in rows {
        for sentence in row.sentences() {
            first_rows[sentence].get_or_insert(row.at);
        }
    }
    let finding = |pair: &NearPair| {
        Some(Finding {
            kind: Kind::Near,
            // Sentences are numbered as they come, so the first is not the later one.
            first: first_rows[pair.first]?,
            second: first_rows[pair.second]?,
            similarity: pair.similarity,
        })
    };
    pairs.iter().filter_map(finding).collect()
}

/// Rows with labels that have the same texts, in any order.
struct Group<'a> {
    key: Key,
    labels: Vec<Label<'a>>,
}

/// A label of a group.
struct Label<'a> {
    target: &'a Target,
    first_row: RowOfFile,
    n_rows: usize,
    is_contradicted: bool,
}

/// Within a group each row against the first one; between two groups of near-duplicates their first rows that differ. Beside them
/// how many rows are contradicted.
fn contradictions(rows: &[Row], neighbours: &Neighbours) -> (Vec<Finding>, usize) {
    let finding = |first: RowOfFile, second: RowOfFile, similarity| Finding {
        kind: Kind::Contradiction,
        first: first.min(second),
        second: first.max(second),
        similarity,
    };
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of: FxHashMap<Key, usize> = FxHashMap::default();
    let mut findings = Vec::new();
    for row in rows.iter().filter(|row| row.target.is_known()) {
        let group = *group_of.entry(row.key()).or_insert_with(|| {
            groups.push(Group {
                key: row.key(),
                labels: Vec::new(),
            });
            groups.len() - 1
        });
        findings.extend(
            groups[group]
                .add(row)
                .map(|first| finding(first, row.at, 1.0)),
        );
    }
    for one in 0..groups.len() {
        for (other, similarity) in near_groups(groups[one].key, &group_of, neighbours) {
            if other <= one {
                continue; // the other one has found it
            }
            let [group, near] = groups.get_disjoint_mut([one, other]).expect("two groups");
            if let Some((first, second)) = group.contradict(near) {
                findings.push(finding(first, second, similarity));
            }
        }
    }
    let labels = groups.iter().flat_map(|group| &group.labels);
    let contradicted = labels.filter(|label| label.is_contradicted);
    (findings, contradicted.map(|label| label.n_rows).sum())
}

impl<'a> Group<'a> {
    /// Adds a row; returns the first row of the group where that has another label.
    fn add(&mut self, row: &Row<'a>) -> Option<RowOfFile> {
        let mut known = self.labels.iter_mut();
        match known.find(|label| label.target == row.target) {
            Some(label) => label.n_rows += 1,
            None => self.labels.push(Label {
                target: row.target,
                first_row: row.at,
                n_rows: 1,
                is_contradicted: false,
            }),
        }
        if self.labels.len() > 1 {
            (self.labels.iter_mut()).for_each(|label| label.is_contradicted = true);
        }
        let first = self.labels.first()?;
        (first.target != row.target).then_some(first.first_row)
    }

    /// Marks the labels of both groups that the other one contradicts; returns the first two rows that do.
    fn contradict(&mut self, other: &mut Self) -> Option<(RowOfFile, RowOfFile)> {
        let mut rows = None;
        for one in &mut self.labels {
            for other in &mut other.labels {
                if one.target != other.target {
                    one.is_contradicted = true;
                    other.is_contradicted = true;
                    rows = rows.or(Some((one.first_row, other.first_row)));
                }
            }
        }
        rows
    }
}

/// The groups whose texts are nearly those of `key`, with the similarity of the less similar texts.
fn near_groups(
    (a, b): Key,
    group_of: &FxHashMap<Key, usize>,
    neighbours: &Neighbours,
) -> Vec<(usize, f64)> {
    let around = |sentence: usize| {
        let near = neighbours[sentence].iter().copied();
        std::iter::once((sentence, 1.0)).chain(near)
    };
    let mut found: Vec<(usize, f64)> = Vec::new();
    for (a, similarity) in around(a) {
        let of_texts = |b: Option<usize>| group_of.get(&key(a, b)).copied();
        match b {
            Some(b) => found.extend(
                around(b).filter_map(|(b, of_b)| Some((of_texts(Some(b))?, similarity.min(of_b)))),
            ),
            None => found.extend(of_texts(None).map(|group| (group, similarity))),
        }
    }
    // Where the two texts of a row are near-duplicates of each other there are several ways.
    found.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
    found.dedup_by_key(|&mut (group, _)| group);
    found
}

fn count_sentences(rows: &[Row], n_sentences: usize) -> SentenceCounts {
    let mut n_rows = vec![0; n_sentences];
    let mut first_files = vec![None; n_sentences];
    let mut is_in_several = vec![false; n_sentences];
    for row in rows {
        for sentence in row.sentences() {
            n_rows[sentence] += 1;
            let first = *first_files[sentence].get_or_insert(row.at.file);
            is_in_several[sentence] |= first != row.at.file;
        }
    }
    SentenceCounts {
        distinct: n_sentences,
        in_several_rows: n_rows.iter().filter(|&&n| n > 1).count(),
        in_several_files: is_in_several.iter().filter(|&&several| several).count(),
        with_near_duplicate: 0,
        near_pairs: 0,
    }
}

fn count_components(rows: &[Row], n_sentences: usize, pairs: &[NearPair]) -> ComponentCounts {
    #[derive(Clone, Default)]
    struct Component {
        sentences: usize,
        rows: usize,
        has_train: bool,
        has_test: bool,
    }
    let mut sets = UnionFind::new(n_sentences);
    for pair in pairs {
        sets.union(pair.first, pair.second);
    }
    for row in rows.iter().filter(|row| row.target.is_known()) {
        row.sentences().for_each(|sentence| {
            sets.union(row.a, sentence);
        });
    }
    let component_of = sets.into_labeling();
    let mut components = vec![Component::default(); n_sentences];
    for &component in &component_of {
        components[component].sentences += 1;
    }
    // A row without a label may stand in two.
    let of_row = |row: &Row| -> Vec<usize> {
        let mut of_row: Vec<usize> = row.sentences().map(|one| component_of[one]).collect();
        of_row.dedup();
        of_row
    };
    for row in rows {
        for component in of_row(row) {
            let component = &mut components[component];
            component.rows += 1;
            component.has_train |= row.is_train;
            component.has_test |= !row.is_train;
        }
    }
    let is_across = |row: &&Row| {
        let mut of_row = of_row(row).into_iter().map(|one| &components[one]);
        of_row.any(|component| component.has_train && component.has_test)
    };
    let across = |is_train: bool| {
        let rows = rows.iter().filter(|row| row.is_train == is_train);
        rows.filter(is_across).count()
    };
    let sizes = components.iter().map(|one| (one.sentences, one.rows));
    let (largest_sentences, largest_rows) = sizes.max().unwrap_or((0, 0));
    ComponentCounts {
        components: components.iter().filter(|one| one.sentences > 0).count(),
        largest_sentences,
        largest_rows,
        train_rows_across: across(true),
        test_rows_across: across(false),
    }
}

fn overlaps(files: &[Part], rows: &[Row], neighbours: &Neighbours) -> Vec<Option<Overlap>> {
    // The first train file of each sentence, and whether there are more.
    let mut train_files: Vec<Option<(usize, bool)>> = vec![None; neighbours.len()];
    for row in rows.iter().filter(|row| row.is_train) {
        for sentence in row.sentences() {
            let (first, more) = train_files[sentence].get_or_insert((row.at.file, false));
            *more |= *first != row.at.file;
        }
    }
    let is_in_other = |sentence: usize, file: usize| {
        train_files[sentence].is_some_and(|(first, more)| more || first != file)
    };
    let mut counts = vec![(0, 0); files.len()];
    for row in rows {
        let file = row.at.file;
        let exact = row.sentences().any(|sentence| is_in_other(sentence, file));
        let mut near = row.sentences().flat_map(|sentence| &neighbours[sentence]);
        let near = near.any(|&(sentence, _)| is_in_other(sentence, file));
        counts[file].0 += usize::from(exact);
        counts[file].1 += usize::from(exact || near);
    }
    let overlap = |(file, (exact, either)): (usize, (usize, usize))| {
        let mut others = files.iter().enumerate().filter(|&(other, _)| other != file);
        let share = |n: usize| n as f64 / files[file].rows.len().max(1) as f64;
        others.any(|(_, other)| other.is_train).then(|| Overlap {
            exact: share(exact),
            exact_or_near: share(either),
        })
    };
    counts.into_iter().enumerate().map(overlap).collect()
}

#[cfg(test)]
mod tests;
