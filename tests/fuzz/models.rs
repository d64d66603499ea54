//! Readers of a BERT folder, and small ones for other readers.
//!
//! Out: [`Reader`]s with good files. Damages nothing.

use std::path::Path;

use cipherpet::checkpoint::tokenizer::write_tokenizer;
use cipherpet::checkpoint::{
    BertConfig, Checkpoint, FloatType, Heads, Weights, names, save, torch,
};
use cipherpet::data::reserved;
use cipherpet::error::{Error, Result};
use cipherpet::vocab::unit::Pieces;
use cipherpet::vocab::{PlainVocab, Segmenter, Unit};
use ndarray::{ArrayD, IxDyn};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer};

use crate::input::Input;
use crate::reader::Reader;

/// Both heads, as a checkpoint for pretraining has them.
const ALL_HEADS: Heads = Heads {
    pooler: true,
    nsp: true,
    ..Heads::MLM
};

const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const TEXT: &str = "Ab c, 今天 \u{e9}\u{301}\tz [MASK] 好";

pub fn readers() -> Vec<Reader> {
    let mut with_json = bert("bert");
    with_json.retain(|file| !file.name.ends_with("vocab.txt"));
    with_json.push(Input::new("bert/tokenizer.json", word_piece_json()));
    let mut with_settings = bert("bert");
    let settings = "{\"do_lower_case\": false, \"tokenizer_class\": \"BertTokenizer\"}";
    with_settings.push(Input::new("bert/tokenizer_config.json", settings));
    let mut of_run = run_model("bert", 6);
    of_run.extend(run_tokenizer("bert"));
    vec![
        Reader::new("checkpoint", 2000, with_settings, open),
        Reader::new("checkpoint-json", 1200, with_json, open),
        Reader::new("checkpoint-run", 1200, of_run, open),
        torch_file(),
    ]
}

/// A file of PyTorch, the archive and what lies in it.
fn torch_file() -> Reader {
    let file = include_bytes!("../golden/torch_file.bin");
    Reader::new(
        "torch",
        4000,
        vec![Input::new("weights.bin", &file[..])],
        |folder| {
            let bytes = std::fs::read(folder.join("weights.bin")).expect("it was written");
            torch::read(&bytes).map(drop).map_err(Error::refused)
        },
    )
}

fn open(folder: &Path) -> Result<()> {
    let bert = folder.join("bert");
    // Weights and text are read apart, so that damage of one does not hide the other.
    let checkpoint = Checkpoint::open(&bert).map(drop);
    let plain = PlainVocab::open(&bert)?;
    for unit in [Unit::WordPiece, Unit::Char] {
        let segmenter = Segmenter::open(&bert, unit)?;
        for token in segmenter.tokens(TEXT)? {
            segmenter.rows(&token, &plain)?;
        }
    }
    Pieces::new(Some(&bert), &plain).rows("今天天气")?;
    checkpoint
}

/// A BERT with the vocabulary `[PAD] … [MASK] a b … h 今 天 气 好`.
pub fn bert(folder: &str) -> Vec<Input> {
    let tokens = plain_tokens();
    let config = config(tokens.len());
    let mut files = saved(folder, &config, ALL_HEADS);
    files.push(Input::new(
        &format!("{folder}/vocab.txt"),
        tokens.join("\n") + "\n",
    ));
    files
}

/// The model of a run with as many cipher tokens, without its vocabulary.
pub fn run_model(folder: &str, n_tokens: usize) -> Vec<Input> {
    let config = config(reserved::NAMES.len() + n_tokens);
    saved(folder, &config, Heads::MLM)
}

fn plain_tokens() -> Vec<String> {
    let text = ('a'..='h').chain("今天气好".chars()).map(String::from);
    SPECIALS.map(String::from).into_iter().chain(text).collect()
}

fn config(vocab_size: usize) -> BertConfig {
    BertConfig {
        vocab_size,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 8,
        max_position_embeddings: 32,
        ..BertConfig::default()
    }
}

/// `config.json` and `model.safetensors`, as the tool writes them.
fn saved(folder: &str, config: &BertConfig, heads: Heads) -> Vec<Input> {
    let dir = tempfile::tempdir().expect("a folder for a model");
    let weights = weights(config, heads);
    save(dir.path(), config, &weights, heads, FloatType::F16).expect("room for a tiny model");
    let read = |name: &str| std::fs::read(dir.path().join(name)).expect("it was written");
    vec![
        Input::new(&format!("{folder}/config.json"), read("config.json")),
        Input::weights(
            &format!("{folder}/model.safetensors"),
            &read("model.safetensors"),
        ),
    ]
}

/// Any numbers will do.
fn weights(config: &BertConfig, heads: Heads) -> Weights {
    let tensors = names::tensors(config, heads).into_iter();
    tensors
        .map(|(name, shape)| (name, ArrayD::zeros(IxDyn(&shape))))
        .collect()
}

/// `vocab.txt`, `tokenizer.json` and `tokenizer_config.json` of a run's model.
fn run_tokenizer(folder: &str) -> Vec<Input> {
    let dir = tempfile::tempdir().expect("a folder for a tokenizer");
    let tokens = (1..=6).map(|token: u32| token.to_string());
    let names = reserved::NAMES.map(str::to_owned).into_iter().chain(tokens);
    write_tokenizer(dir.path(), &names.collect::<Vec<_>>(), " ").expect("room");
    ["vocab.txt", "tokenizer.json", "tokenizer_config.json"]
        .map(|name| {
            let content = std::fs::read(dir.path().join(name)).expect("it was written");
            Input::new(&format!("{folder}/{name}"), content)
        })
        .into()
}

/// A WordPiece tokenizer as other tools save it.
fn word_piece_json() -> String {
    let lines = plain_tokens().join("\n");
    let rows = WordPiece::read_bytes(lines.as_bytes()).expect("one token a line");
    let model = WordPiece::builder().vocab(rows).build();
    let mut tokenizer = Tokenizer::new(model.expect("a vocabulary"));
    let normalizer = BertNormalizer::new(true, true, None, true);
    tokenizer
        .with_normalizer(Some(normalizer))
        .expect("a normalizer")
        .with_pre_tokenizer(Some(BertPreTokenizer));
    let specials = SPECIALS.map(|token| AddedToken::from(token, true));
    tokenizer.add_special_tokens(specials).expect("five tokens");
    tokenizer.to_string(true).expect("JSON")
}
