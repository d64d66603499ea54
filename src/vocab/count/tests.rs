//! Counts by hand, the files they go through, and bad inputs.

use std::path::Path;

use super::super::unit::word_piece;
use super::*;

const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n的\n##的\n我\nab\n##c\nAb\n\"\n#\n,\n";

/// A BERT folder and a text file `text` in it.
fn folder(text: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("vocab.txt"), VOCAB).expect("writable");
    std::fs::write(folder.path().join("text"), text).expect("writable");
    folder
}

fn count(folder: &tempfile::TempDir) -> Result<(TokenCounts, Vec<TextSource>)> {
    let files = [folder.path().join("text")];
    count_files(folder.path(), &files, &Progress::silent())
}

fn show(counts: &TokenCounts) -> String {
    let entries: Vec<_> = counts
        .entries
        .iter()
        .map(|(t, n)| format!("{t} {n}"))
        .collect();
    entries.join("; ")
}

#[test]
fn counts_by_hand() {
    // Line 1: 我 的 ab ##c , 的; line 2 is empty; line 3: " # [UNK] and the special [MASK].
    let folder = folder("我的ABC,的\r\n\n\"#囧[MASK]".as_bytes());
    let (counts, sources) = count(&folder).expect("valid");
    // Equal counts stand in order of the rows.
    assert_eq!(show(&counts), "的 2; 我 1; ab 1; ##c 1; \" 1; # 1; , 1");
    assert_eq!((sources[0].lines, sources[0].bytes), (3, 27));
}

#[test]
fn case_stays_where_the_tokenizer_says_so() {
    let folder = folder(b"Ab ab");
    let path = folder.path().join("tokenizer_config.json");
    std::fs::write(&path, r#"{"do_lower_case": false}"#).expect("writable");
    assert_eq!(show(&count(&folder).expect("valid").0), "ab 1; Ab 1");
    std::fs::write(&path, "{}").expect("writable");
    assert_eq!(show(&count(&folder).expect("valid").0), "ab 2");
}

#[test]
fn tokenizer_json_is_used_as_it_is_but_not_cut() {
    let folder = folder("我 我 我".as_bytes());
    let mut tokenizer = word_piece(folder.path()).expect("valid");
    tokenizer
        .with_truncation(Some(tokenizers::TruncationParams {
            max_length: 1,
            ..Default::default()
        }))
        .expect("valid");
    let path = folder.path().join("tokenizer.json");
    tokenizer.save(&path, false).expect("writable");
    std::fs::remove_file(folder.path().join("vocab.txt")).expect("was there");
    assert_eq!(show(&count(&folder).expect("valid").0), "我 3");
}

/// What is said of a `tokenizer.json` with the model of [`VOCAB`] after `edit`.
fn refused(edit: impl FnOnce(&mut serde_json::Value)) -> String {
    let folder = folder("我".as_bytes());
    let tokenizer = word_piece(folder.path()).expect("valid");
    let text = tokenizer.to_string(false).expect("JSON");
    let mut json = serde_json::from_str(&text).expect("JSON");
    edit(&mut json);
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).expect("writable");
    let error = count(&folder).expect_err("no such tokenizer");
    assert_eq!(error.exit_code(), 1);
    assert!(error.hint().is_some());
    let place = format!("{}/", folder.path().display());
    error.to_string().replace(&place, "")
}

#[test]
fn a_row_of_four_thousand_million_takes_no_memory() {
    assert_eq!(
        refused(|json| json["model"]["vocab"]["ab"] = u32::MAX.into()),
        "tokenizer.json:vocab: expected rows below 4194304, found 4294967295 for `ab`"
    );
}

#[test]
fn a_tokenizer_damaged_inside_its_decoder_is_refused() {
    let folder = folder(b"ab");
    let tokenizer = word_piece(folder.path()).expect("valid");
    let text = tokenizer.to_string(false).expect("JSON");
    let damaged = text.replace("\"decoder\":null", "\"decoder\":{]");
    assert_ne!(damaged, text);
    std::fs::write(folder.path().join("tokenizer.json"), damaged).expect("writable");
    let message = count(&folder).expect_err("no JSON").to_string();
    assert!(
        message
            .contains("tokenizer.json: expected a tokenizer, found key must be a string at line 1"),
        "{message}"
    );
}

#[test]
fn a_tokenizer_needs_its_unknown_token() {
    assert_eq!(
        refused(|json| json["model"]["unk_token"] = "[NONE]".into()),
        "tokenizer.json:model.unk_token: expected a token of model.vocab, found `[NONE]`, which is none"
    );
}

#[test]
fn threads_and_chunks_do_not_show() {
    let text = "我的abc,的\n的 我 \"\n".repeat(1000);
    let folder = folder(text.as_bytes());
    let files = [folder.path().join("text")];
    let count = |n_threads, chunk_bytes| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .expect("a pool");
        pool.install(|| count_in_chunks(folder.path(), &files, &Progress::silent(), chunk_bytes))
            .expect("valid")
    };
    // One chunk of eight tasks, then many chunks, the smallest of one line.
    let one = count(1, CHUNK_BYTES);
    assert_eq!(
        show(&one.0),
        "的 3000; 我 2000; ab 1000; ##c 1000; \" 1000; , 1000"
    );
    assert_eq!(one.1[0].lines, 2000);
    assert_eq!(count(2, CHUNK_BYTES), one);
    assert_eq!(count(2, 9000), one);
    assert_eq!(count(2, 1), one);
}

#[test]
fn a_line_that_is_a_book_is_refused() {
    let folder = folder(format!("的\n{}\n", "a ".repeat(600_000)).as_bytes());
    let error = count(&folder).expect_err("1.2 MB");
    assert!(
        error
            .to_string()
            .ends_with("text:2: expected a line of at most 1 MB, found a longer one"),
        "{error}"
    );
}

#[test]
fn source_is_recorded() {
    let folder = folder(b"abc");
    let (_, sources) = count(&folder).expect("valid");
    // The SHA-256 of `abc` is the example of FIPS 180-2, appendix B.1.
    assert_eq!(
        sources[0].sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn read_of_written_is_the_same() {
    let tokens = [
        "\"", "\"\"", "#", "##的", "[", "\\", "a\"b", "\u{2028}", "，",
    ];
    let counts = TokenCounts {
        entries: tokens
            .iter()
            .map(|t| (t.to_string(), t.len() as u64))
            .collect(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("counts.tsv");
    counts.write(&path).expect("writable");
    assert_eq!(TokenCounts::read(&path).expect("valid"), counts);
}

#[test]
fn text_that_is_not_utf8() {
    let folder = folder(b"ab\nab\xff\n");
    let error = count(&folder).expect_err("not UTF-8");
    let path = folder.path().join("text");
    let expected = format!("{}:2: expected UTF-8, found other bytes", path.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn text_that_is_missing() {
    let folder = folder(b"");
    let outcome = count_files(folder.path(), &["no/such/text".into()], &Progress::silent());
    assert_eq!(
        outcome.expect_err("absent").to_string(),
        "cannot read no/such/text: No such file or directory (os error 2)"
    );
}

#[test]
fn malformed_counts() {
    let message = |text: &str| {
        let outcome = TokenCounts::parse(Path::new("counts.tsv"), text.as_bytes());
        outcome.expect_err("malformed").to_string()
    };
    assert_eq!(
        message(""),
        "counts.tsv: expected `token<TAB>count` lines, found an empty file"
    );
    assert_eq!(
        message("的\t3\n我 2\n"),
        "counts.tsv:2: expected `token<TAB>count`, found 1 fields"
    );
    assert_eq!(
        message("的\t-3\n"),
        "counts.tsv:1:2: expected a count, found `-3`"
    );
    assert_eq!(
        message("的\t3\n的\t2\n"),
        "counts.tsv:2:1: expected a new token, found `的` again"
    );
}
