//! BERT's tokenizer over a vocabulary, and vocabularies made from text: WordPieces that are learnt, or ids as they are.
//!
//! In: tokens in row order, or lines. Out: a tokenizer, or tokens in row order, the special ones first. The same lines give the
//! same tokens. WordPiece is trained by the crate `tokenizers` (Schuster and Nakajima 2012, by merging the most frequent pair);
//! words are those of BERT's own normalizer and splitter. Does not read files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::tokenizer::Trainer;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, Tokenizer,
};

use super::lines::LINES_PER_TASK;
use super::plain::PlainVocab;
use crate::error::{Error, Result};

/// What every BERT has, in the order in which new vocabularies begin.
pub const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Stands before a piece that begins no word.
const INSIDE: &str = "##";

/// WordPiece over rows of tokens, with BERT's normalizer, splitter and special tokens.
///
/// # Errors
/// [`Error::Unexpected`] where `tokenizers` refuses.
pub fn bert_tokenizer(
    rows: impl IntoIterator<Item = (String, u32)>,
    lower_case: bool,
) -> Result<Tokenizer> {
    let mut vocab = WordPiece::read_bytes(b"").map_err(unexpected)?; // the crate does not name this type
    vocab.extend(rows);
    let model = WordPiece::builder().vocab(vocab).build();
    let model = model.map_err(unexpected)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, true, None, lower_case)))
        .map_err(unexpected)?
        .with_pre_tokenizer(Some(BertPreTokenizer));
    add_specials(&mut tokenizer)?;
    Ok(tokenizer)
}

/// One token a run of characters without white space.
///
/// # Errors
/// As [`bert_tokenizer`].
pub fn id_tokenizer(plain: &PlainVocab) -> Result<Tokenizer> {
    let model = WordLevel::builder()
        .vocab(plain.rows().collect())
        .unk_token(SPECIALS[1].to_owned())
        .build()
        .map_err(unexpected)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(WhitespaceSplit));
    add_specials(&mut tokenizer)?;
    Ok(tokenizer)
}

fn add_specials(tokenizer: &mut Tokenizer) -> Result<()> {
    let specials = SPECIALS.map(|token| AddedToken::from(token, true));
    tokenizer.add_special_tokens(specials).map_err(unexpected)?;
    Ok(())
}

/// Puts `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]` around texts, with token types 0 and 1, as BERT is pretrained.
pub fn with_pair_template(tokenizer: &mut Tokenizer, plain: &PlainVocab) {
    let specials = plain.specials();
    let named = |id: super::PlainId| (plain.token(id).to_owned(), id.0);
    let template = BertProcessing::new(named(specials.sep), named(specials.cls));
    tokenizer.with_post_processor(Some(template));
}

/// At most `size` WordPieces of `lines`, special tokens first. Characters that have no room are left to `[UNK]`, the rarest
/// first.
///
/// # Errors
/// As [`bert_tokenizer`].
pub fn train(lines: &[&str], size: usize, lower_case: bool) -> Result<Vec<String>> {
    let words = count_words(lines, lower_case)?;
    let room = size.saturating_sub(SPECIALS.len());
    let letters = letters(&words, room);
    // The trainer numbers such pieces in the order of a hash map, unless they have numbers before; and by numbers it
    // decides between pairs that are equally frequent.
    let inside = letters.keys().filter(|letter| letter.starts_with(INSIDE));
    let first = SPECIALS.into_iter().chain(inside.map(String::as_str));
    let first = first.map(|token| AddedToken::from(token, true));
    let mut trainer = WordPieceTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(first.collect())
        .build();
    let has_room = |word: &str| pieces(word).all(|piece| letters.contains_key(&piece));
    let known = words.iter().filter(|(word, _)| has_room(word));
    let repeated = known.flat_map(|(word, &count)| std::iter::repeat_n(word, count as usize));
    trainer
        .feed(repeated, |word| Ok(vec![word.to_owned()]))
        .map_err(unexpected)?;
    let mut model = WordPiece::default();
    trainer.train(&mut model).map_err(unexpected)?;
    let mut rows: Vec<(u32, String)> = tokenizers::Model::get_vocab(&model)
        .into_iter()
        .map(|(token, row)| (row, token))
        .collect();
    rows.sort_unstable();
    Ok(rows.into_iter().map(|(_, token)| token).collect())
}

/// Every word with its count.
fn count_words(lines: &[&str], lower_case: bool) -> Result<BTreeMap<String, u64>> {
    let normalizer = BertNormalizer::new(true, true, None, lower_case);
    let parts = lines.par_chunks(LINES_PER_TASK).map(|lines| {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for line in lines {
            let mut text = NormalizedString::from(*line);
            normalizer.normalize(&mut text).map_err(unexpected)?;
            let mut text = PreTokenizedString::from(text);
            BertPreTokenizer
                .pre_tokenize(&mut text)
                .map_err(unexpected)?;
            let words = text.get_splits(OffsetReferential::Normalized, OffsetType::None);
            for (word, _, _) in words {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
        Ok(counts)
    });
    let mut all = BTreeMap::new();
    for part in parts.collect::<Result<Vec<_>>>()? {
        for (word, count) in part {
            *all.entry(word).or_default() += count;
        }
    }
    Ok(all)
}

/// The characters of a word as pieces: `a`, `##b`, `##c`.
fn pieces(word: &str) -> impl Iterator<Item = String> {
    word.chars().enumerate().map(|(at, letter)| match at {
        0 => letter.to_string(),
        _ => format!("{INSIDE}{letter}"),
    })
}

/// The most frequent characters that have room, as pieces, each with the piece that begins a word: the trainer makes both.
fn letters(words: &BTreeMap<String, u64>, room: usize) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (word, count) in words {
        for piece in pieces(word) {
            *counts.entry(piece).or_default() += count;
        }
    }
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|&(piece, &count)| (Reverse(count), piece));
    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
    for (piece, &count) in sorted {
        let bare = piece.strip_prefix(INSIDE).filter(|bare| !bare.is_empty());
        let bare = bare.unwrap_or(piece);
        let more = [piece, bare].map(|piece| usize::from(!kept.contains_key(piece)));
        let more = if bare == piece {
            more[0]
        } else {
            more[0] + more[1]
        };
        if kept.len() + more > room {
            break;
        }
        kept.entry(bare.to_owned()).or_insert(0);
        kept.insert(piece.clone(), count);
    }
    kept
}

fn unexpected(error: tokenizers::Error) -> Error {
    Error::Unexpected(format!("tokenizers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const LINES: [&str; 4] = [
        "你好, hello hello helloing",
        "你们好 hold held",
        "Hello 好好 tokens token tokens",
        "ab ba cab bac abc",
    ];

    fn trained(size: usize) -> Vec<String> {
        train(&LINES, size, true).expect("trained")
    }

    #[test]
    fn words_and_characters_have_tokens_and_special_ones_come_first() {
        let tokens = trained(60);
        assert_eq!(tokens[..5], SPECIALS);
        assert!(tokens.len() <= 60, "{}", tokens.len());
        for token in ["好", "你", ",", "hello", "##e", "token"] {
            assert!(
                tokens.iter().any(|other| other == token),
                "{token}: {tokens:?}"
            );
        }
        let rows = tokens.iter().cloned().zip(0..);
        let tokenizer = bert_tokenizer(rows, true).expect("a tokenizer");
        let cut = tokenizer.encode("HELLO好", false).expect("cut");
        assert_eq!(cut.get_tokens(), ["hello", "好"]);
    }

    #[test]
    fn training_again_gives_the_same_tokens() {
        let first = trained(60);
        for _ in 0..5 {
            assert_eq!(trained(60), first);
        }
    }

    #[test]
    fn a_small_vocabulary_keeps_the_most_frequent_characters() {
        for size in [6, 8, 12, 20] {
            let tokens = trained(size);
            assert!(tokens.len() <= size, "{size}: {tokens:?}");
            assert_eq!(tokens[..5], SPECIALS);
        }
        assert!(trained(20).contains(&"好".to_owned()));
    }

    #[test]
    fn ids_are_tokens_and_pairs_have_types_0_and_1() {
        let tokens = SPECIALS.into_iter().chain(["12", "7"]).map(str::to_owned);
        let plain =
            PlainVocab::from_tokens(tokens.collect(), Path::new("v")).expect("a vocabulary");
        let mut tokenizer = id_tokenizer(&plain).expect("a tokenizer");
        with_pair_template(&mut tokenizer, &plain);
        let pair = tokenizer.encode(("7 12 9", "12"), true).expect("cut");
        assert_eq!(pair.get_ids(), [2, 6, 5, 1, 3, 5, 3]);
        assert_eq!(pair.get_type_ids(), [0, 0, 0, 0, 0, 1, 1]);
    }
}
