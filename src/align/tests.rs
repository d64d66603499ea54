//! Every method on small vocabularies, by hand.

use std::collections::BTreeSet;
use std::path::Path;

use super::{AlignInput, AlignMethod, align, counted_share};
use crate::data::{CipherId, Dictionary, Example, Target, TokenKind};
use crate::error::Result;
use crate::random::Key;
use crate::vocab::mapping::Candidate;
use crate::vocab::{CipherVocab, Mapping, PlainId, PlainVocab, TokenCounts};

const TOKENS: [&str; 12] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "的",
    "我",
    "[unused1]",
    "\"",
    "#",
    "是",
    "了",
];

struct World {
    cipher: CipherVocab,
    dictionary: Dictionary,
    plain: PlainVocab,
    counts: Option<TokenCounts>,
}

/// Cipher ids 10, 11, … with counts n, n - 1, …, 1.
fn world(n: u32) -> World {
    let pair = Example {
        a: (0..n)
            .flat_map(|i| vec![CipherId(10 + i); (n - i) as usize])
            .collect(),
        b: None,
        target: Target::Unknown,
    };
    World {
        cipher: CipherVocab::count([&pair], 1),
        dictionary: Dictionary::new(TokenKind::Number),
        plain: PlainVocab::from_tokens(TOKENS.map(str::to_owned).into(), Path::new("vocab.txt"))
            .expect("valid"),
        counts: Some(counts(&[
            ("了", 5),
            ("的", 9),
            ("[CLS]", 99),
            ("我", 5),
            ("是", 0),
            ("吗", 50),
            ("[unused1]", 3),
        ])),
    }
}

fn counts(entries: &[(&str, u64)]) -> TokenCounts {
    TokenCounts {
        entries: entries
            .iter()
            .map(|(token, n)| (token.to_string(), *n))
            .collect(),
    }
}

impl World {
    fn align(&self, method: AlignMethod, file: Option<&Path>) -> Result<Mapping> {
        let counts = self.counts.as_ref();
        let input = AlignInput {
            cipher: &self.cipher,
            dictionary: &self.dictionary,
            plain: &self.plain,
            counts: counts.map(|counts| (Path::new("counts.tsv"), counts)),
            file,
            checkpoint: None,
            graph: None,
            key: Key::from_seed(1),
        };
        let alignment = align(method, &input)?;
        assert_eq!(alignment.quality, None, "these methods know nothing");
        Ok(alignment.mapping)
    }

    /// `cipher=plain:plain count` of each row.
    fn show(&self, mapping: &Mapping) -> String {
        let rows = mapping.rows.iter().map(|row| {
            let plain = row.plain.map_or("-", |id| self.plain.token(id));
            format!("{}={plain}:{}", row.cipher_id.0, row.plain_count)
        });
        rows.collect::<Vec<_>>().join(" ")
    }

    /// By `align.file` with this content; errors without the folder.
    fn by_file(&self, content: &str) -> std::result::Result<String, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("m.tsv");
        std::fs::write(&path, content).expect("writable");
        match self.align(AlignMethod::File, Some(&path)) {
            Ok(mapping) => Ok(self.show(&mapping)),
            Err(error) => {
                let prefix = format!("{}/", folder.path().display());
                Err(error.to_string().replace(&prefix, ""))
            }
        }
    }
}

#[test]
fn rank_follows_both_ladders() {
    // Eligible: 的 9, then 我 and 了 with 5 each in row order; [CLS] and [unused1] are special, 是 has
    // no count, 吗 is not in the vocabulary.
    let world = world(3);
    let mapping = world.align(AlignMethod::Rank, None).expect("aligned");
    assert_eq!(world.show(&mapping), "10=的:9 11=我:5 12=了:5");
    assert_eq!(mapping.wrapped, 0);
    let first = &mapping.rows[0];
    assert_eq!((first.count, first.method), (3, "rank"));
}

#[test]
fn rank_wraps_round_and_says_so() {
    let world = world(5);
    let mapping = world.align(AlignMethod::Rank, None).expect("aligned");
    assert_eq!(
        world.show(&mapping),
        "10=的:9 11=我:5 12=了:5 13=的:9 14=我:5"
    );
    assert_eq!(mapping.wrapped, 2);
}

#[test]
fn rank_without_counts() {
    let mut world = world(2);
    world.counts = None;
    let error = world.align(AlignMethod::Rank, None).expect_err("no counts");
    assert_eq!(
        error.to_string(),
        "`align.method = \"rank\"` needs the counts of plaintext tokens"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.starts_with("set `align.counts`"))
    );
}

#[test]
fn counts_that_share_no_token_with_the_vocabulary() {
    let mut world = world(2);
    world.counts = Some(counts(&[("hello", 3), ("world", 2), ("[CLS]", 1)]));
    for method in [AlignMethod::Rank, AlignMethod::Random] {
        let error = world.align(method, None).expect_err("no shared token");
        assert_eq!(
            error.to_string(),
            "counts.tsv: expected counts of tokens of the checkpoint's vocabulary, found none of its 3 tokens there"
        );
        assert_eq!(
            error.hint(),
            Some("count the corpus with this checkpoint's tokenizer: `cipherpet count`")
        );
    }
}

#[test]
fn the_share_of_counts_that_the_vocabulary_knows() {
    let world = world(1);
    // 了 5, 的 9 and 我 5 of these and 吗 50; special tokens are no text, 是 was not seen.
    let counts = world.counts.as_ref().expect("counts");
    assert_eq!(counted_share(&world.plain, counts), (19.0 / 69.0, 3));
    for none in [&[][..], &[("[CLS]", 9), ("的", 0)]] {
        assert_eq!(counted_share(&world.plain, &self::counts(none)), (0.0, 0));
    }
}

#[test]
fn random_uses_the_rows_of_rank() {
    let mut world = world(3);
    let used = |mapping: &Mapping| -> BTreeSet<u32> {
        mapping
            .rows
            .iter()
            .filter_map(|row| Some(row.plain?.0))
            .collect()
    };
    let random = world.align(AlignMethod::Random, None).expect("aligned");
    let rank = world.align(AlignMethod::Rank, None).expect("aligned");
    assert_eq!(used(&random), used(&rank));
    assert_eq!(
        world.align(AlignMethod::Random, None).expect("aligned"),
        random
    );

    // Without counts all six rows that stand for text take part.
    world = World {
        counts: None,
        ..self::world(7)
    };
    let random = world.align(AlignMethod::Random, None).expect("aligned");
    assert_eq!(used(&random), BTreeSet::from([5, 6, 8, 9, 10, 11]));
    assert_eq!(random.wrapped, 1);
    let in_order = (0..6).is_sorted_by_key(|i| random.rows[i].plain);
    assert!(!in_order, "shuffled");
}

#[test]
fn scratch_has_no_plaintext() {
    let world = world(2);
    let mapping = world.align(AlignMethod::Scratch, None).expect("aligned");
    assert_eq!(world.show(&mapping), "10=-:0 11=-:0");
    assert_eq!(
        mapping.starts(&world.plain, true, Key::from_seed(1), 0),
        None
    );
}

#[test]
fn file_with_and_without_a_header() {
    let world = world(4);
    // 13 is not named, 99 is not kept.
    let rows = "12\t的\n99\t我\n10\t\"\"\"\"\r\n11\t#\n";
    let expected = Ok("10=\":0 11=#:0 12=的:9 13=[UNK]:0".to_owned());
    assert_eq!(world.by_file(rows), expected);
    assert_eq!(world.by_file(&format!("cipher\tplain\n{rows}")), expected);
    let wide = "plain_token\tnote\tcipher_id\n的\tx\t12\n\"\"\"\"\t\t10\n#\t\t11\n";
    assert_eq!(world.by_file(wide), expected);
}

#[test]
fn a_written_mapping_is_read_back() {
    let mut world = world(6);
    world.counts = None;
    // Names with a quote, a tab and a hash, as text tokens; six plain tokens, a quote and a hash among them.
    let mut dictionary = Dictionary::new(TokenKind::Text);
    let names = ["x", "\"", "\"a", "#", "a\tb", "[CLS]"];
    let ids = names.map(|name| dictionary.id(name).expect("text"));
    let pair = Example {
        a: ids.to_vec(),
        b: None,
        target: Target::Unknown,
    };
    world.cipher = CipherVocab::count([&pair], 1);
    world.dictionary = dictionary;
    let random = world.align(AlignMethod::Random, None).expect("aligned");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mapping.tsv");
    random
        .write(&path, &world.dictionary, &world.plain)
        .expect("writable");
    let read = world
        .align(AlignMethod::File, Some(&path))
        .expect("aligned");
    let starts = |mapping: &Mapping| mapping.starts(&world.plain, true, Key::from_seed(1), 0);
    assert_eq!(starts(&read), starts(&random));
    assert!(read.rows.iter().all(|row| row.method == "file"));
}

const WEIGHED: &str = "cipher_id\tplain_token\tplain_count\tmargin\tmutual\tconfidence\ttop3\n";

#[test]
fn weighed_candidates_are_read_back() {
    let world = world(3);
    let rows = "10\t的\t70\t0.5\t1\t0.9\t的:0.8 我:0.1\n11\t\t0\t0\t0\t0\t\n12\t是\t1\t\t\t\t\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.tsv");
    std::fs::write(&path, WEIGHED.to_owned() + rows).expect("writable");
    let mapping = world
        .align(AlignMethod::File, Some(&path))
        .expect("aligned");
    let first = &mapping.rows[0];
    assert_eq!((first.plain, first.plain_count), (None, 70));
    let found = first.found.as_ref().expect("candidates");
    assert_eq!(
        (found.margin, found.mutual, found.confidence),
        (0.5, true, 0.9)
    );
    let shown = |candidate: &Candidate| {
        let rows: Vec<u32> = candidate.rows.iter().map(|row| row.0).collect();
        (candidate.token.clone(), rows, candidate.weight)
    };
    let shown: Vec<_> = found.candidates.iter().map(shown).collect();
    assert_eq!(
        shown,
        [("的".into(), vec![5], 0.8), ("我".into(), vec![6], 0.1)]
    );
    let second = mapping.rows[1]
        .found
        .as_ref()
        .expect("weighed, and nothing trusted");
    assert!(second.candidates.is_empty());
    assert_eq!(mapping.rows[2].plain, Some(PlainId(10)));
}

#[test]
fn malformed_candidates() {
    let error = |fields: &str| {
        let content = format!("{WEIGHED}10\t的\t70\t{fields}\n");
        world(3).by_file(&content).expect_err("malformed")
    };
    assert_eq!(
        error("0.5\t1\t0.9\t的:0.8 我"),
        "m.tsv:2:7: expected `token:weight` with weights above 0 and at most 1, found `的:0.8 我`"
    );
    assert_eq!(
        error("0.5\t1\t0.9\t的:0"),
        "m.tsv:2:7: expected `token:weight` with weights above 0 and at most 1, found `的:0`"
    );
    assert_eq!(
        error("0.5\t1\t0.9\t龘:0.5"),
        "m.tsv:2:7: expected a token of the checkpoint's vocabulary, found `龘`"
    );
    assert_eq!(
        error("0.5\tyes\t0.9\t的:0.5"),
        "m.tsv:2:5: expected 0 or 1, found `yes`"
    );
    assert_eq!(
        error("high\t1\t0.9\t的:0.5"),
        "m.tsv:2:4: expected a number, found `high`"
    );
}

#[test]
fn ids_absent_from_the_file_say_so() {
    let world = world(2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.tsv");
    std::fs::write(&path, "11\t的\n").expect("writable");
    let mapping = world
        .align(AlignMethod::File, Some(&path))
        .expect("aligned");
    let methods: Vec<_> = mapping.rows.iter().map(|row| row.method).collect();
    assert_eq!(methods, ["unknown", "file"]);
}

#[test]
fn malformed_mapping_files() {
    let error = |content: &str| world(3).by_file(content).expect_err("malformed");
    assert_eq!(
        error("10\t的\n11\t龘\n"),
        "m.tsv:2:2: expected a token of the checkpoint's vocabulary, found `龘`"
    );
    assert_eq!(
        error("10\t的\n11\t\"\n12\t我\n"),
        "m.tsv:2:2: expected a token of the checkpoint's vocabulary, found `\\n12\\t我\\n`"
    );
    assert_eq!(
        error("10\t的\n10\t我\n"),
        "m.tsv:2:1: expected a new cipher token, found `10` again"
    );
    assert_eq!(
        error("10\t的\t1\n"),
        "m.tsv:1: expected 2 tab-separated fields, or the header of a `mapping.tsv`, found 3"
    );
    assert_eq!(
        error("10\t的\n11\n"),
        "m.tsv:2: expected 2 tab-separated fields or more, found 1"
    );
    assert_eq!(
        error("77\t的\n"),
        "m.tsv: expected cipher tokens of the pair files, found none of them"
    );
    assert_eq!(
        error(""),
        "m.tsv: expected cipher tokens of the pair files, found none of them"
    );
}

#[test]
fn file_method_without_a_file() {
    let error = world(1)
        .align(AlignMethod::File, None)
        .expect_err("no file");
    assert_eq!(
        error.to_string(),
        "`align.method = \"file\"` needs a mapping"
    );
    assert_eq!(error.hint(), Some("set `align.file`"));
}
