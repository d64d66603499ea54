//! The tokenizer beside a run's model.
//!
//! In: the names of the run's vocabulary, reserved rows first. Out: `vocab.txt`, `tokenizer.json` and
//! `tokenizer_config.json`, with which `AutoTokenizer` turns two sentences as they stand in a pair file into
//! `[CLS] a [SEP] b [SEP]` with all segments 0, as the model saw them. Does not truncate: pairs are cut to `data.max_tokens` before.

use std::fs;
use std::path::Path;

use serde_json::json;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use crate::atomic;
use crate::data::reserved::{CLS, MASK, NAMES, PAD, SEP, UNK};
use crate::error::{Error, Result};

/// Writes `vocab.txt`, `tokenizer.json` and `tokenizer_config.json` into `dir` (created if absent).
///
/// `names` are all rows in order and begin with [`NAMES`]; a name that stands twice means its first row.
/// An empty `token_separator` makes every character a token.
///
/// # Errors
/// [`Error::Io`] where a file cannot be written; [`Error::Unexpected`] where `tokenizers` refuses.
pub fn write_tokenizer(dir: &Path, names: &[String], token_separator: &str) -> Result<()> {
    let tokenizer = word_level(names, token_separator)
        .map_err(|error| Error::Unexpected(format!("tokenizers: {error}")))?;
    write_files(dir, names, &tokenizer, &json!({}))
}

/// Writes the same files for a BERT on plain text or ids, whose `tokens` have any order. `lower_case` is told for WordPieces
/// alone.
///
/// # Errors
/// As [`write_tokenizer`].
pub fn write_bert_tokenizer(
    dir: &Path,
    tokens: &[String],
    tokenizer: &Tokenizer,
    lower_case: Option<bool>,
) -> Result<()> {
    let more = match lower_case {
        Some(lower_case) => {
            json!({"tokenizer_class": "BertTokenizer", "do_lower_case": lower_case})
        }
        None => json!({}),
    };
    write_files(dir, tokens, tokenizer, &more)
}

/// `more` lies over the usual entries of `tokenizer_config.json`.
fn write_files(
    dir: &Path,
    names: &[String],
    tokenizer: &Tokenizer,
    more: &serde_json::Value,
) -> Result<()> {
    let tokenizer = tokenizer.to_string(true);
    let tokenizer = tokenizer.map_err(|error| Error::Unexpected(format!("tokenizers: {error}")))?;
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": NAMES[PAD as usize],
        "unk_token": NAMES[UNK as usize],
        "cls_token": NAMES[CLS as usize],
        "sep_token": NAMES[SEP as usize],
        "mask_token": NAMES[MASK as usize],
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": false,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    atomic::write(&dir.join("vocab.txt"), (names.join("\n") + "\n").as_bytes())?;
    atomic::write(&dir.join("tokenizer.json"), tokenizer.as_bytes())?;
    atomic::write(
        &dir.join("tokenizer_config.json"),
        format!("{config:#}\n").as_bytes(),
    )
}

fn word_level(names: &[String], token_separator: &str) -> tokenizers::Result<Tokenizer> {
    let name = |id: u32| NAMES[id as usize].to_owned();
    let rows = names.iter().enumerate().rev(); // reversed: of two equal names the first stays
    let model = WordLevel::builder()
        .vocab(rows.map(|(row, name)| (name.clone(), row as u32)).collect())
        .unk_token(name(UNK))
        .build()?;
    let split = match token_separator {
        "" => Split::new(
            SplitPattern::Regex("(?s).".to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        ),
        separator => Split::new(separator, SplitDelimiterBehavior::Removed, false),
    }?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{}:0 $A:0 {}:0", name(CLS), name(SEP)))?
        .try_pair(format!(
            "{}:0 $A:0 {}:0 $B:0 {}:0",
            name(CLS),
            name(SEP),
            name(SEP)
        ))?
        .special_tokens(vec![(name(CLS), CLS), (name(SEP), SEP)])
        .build()?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(split));
    tokenizer.with_post_processor(Some(template));
    tokenizer.add_special_tokens(
        [PAD, UNK, CLS, SEP, MASK].map(|id| AddedToken::from(name(id), true)),
    )?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved rows and `names`, written and opened again.
    fn round_trip(names: &[&str], token_separator: &str) -> Tokenizer {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<_> = NAMES
            .iter()
            .chain(names)
            .map(|&name| name.to_owned())
            .collect();
        write_tokenizer(dir.path(), &names, token_separator).unwrap();
        let lines = fs::read_to_string(dir.path().join("vocab.txt")).unwrap();
        assert_eq!(lines.lines().collect::<Vec<_>>(), names);
        Tokenizer::from_file(dir.path().join("tokenizer.json")).unwrap()
    }

    #[test]
    fn a_pair_gets_its_rows_and_segment_0() {
        let tokenizer = round_trip(&["12", "7", "120"], " ");
        let pair = tokenizer.encode(("12 120 7", "5 7"), true).unwrap();
        assert_eq!(pair.get_ids(), [CLS, 7, 9, 8, SEP, UNK, 8, SEP]);
        assert_eq!(pair.get_type_ids(), [0; 8]);
        assert_eq!(
            tokenizer.encode("7", true).unwrap().get_ids(),
            [CLS, 8, SEP]
        );
    }

    #[test]
    fn a_mask_in_the_text_is_the_mask() {
        let tokenizer = round_trip(&["12", "7"], " ");
        let ids = tokenizer.encode("12 [MASK] 7", false).unwrap();
        assert_eq!(ids.get_ids(), [7, MASK, 8]);
    }

    #[test]
    fn separators_are_taken_literally() {
        let tokenizer = round_trip(&["a b", "c"], "|"); // in a regular expression, | would match everywhere
        assert_eq!(
            tokenizer.encode("c|a b|c", false).unwrap().get_ids(),
            [8, 7, 8]
        );
    }

    #[test]
    fn without_a_separator_every_character_is_a_token() {
        let tokenizer = round_trip(&["甲", "乙"], "");
        assert_eq!(
            tokenizer.encode("乙甲乙", false).unwrap().get_ids(),
            [8, 7, 8]
        );
    }

    #[test]
    fn a_cipher_token_that_looks_reserved_does_not_take_its_row() {
        let tokenizer = round_trip(&["12", "[NO]"], " ");
        assert_eq!(
            tokenizer.token_to_id("[NO]"),
            Some(crate::data::reserved::NO)
        );
    }

    #[test]
    fn same_names_same_bytes() {
        let names: Vec<_> = NAMES
            .iter()
            .map(|&name| name.to_owned())
            .chain((0..500).map(|i| i.to_string()))
            .collect();
        let text = || word_level(&names, " ").unwrap().to_string(true).unwrap();
        assert_eq!(text(), text());
    }
}
