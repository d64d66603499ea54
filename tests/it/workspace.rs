//! A fresh folder with small inputs, and the command run inside it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cipherpet::checkpoint::{
    Activation, Albert, BertConfig, FloatType, Heads, Positions, Weights, names, save,
};
use cipherpet::kernels;
use cipherpet::model::Bert;
use cipherpet::random::Key;
use ndarray::{ArrayD, IxDyn};

use crate::skipped;
pub use crate::skipped::skipped;

/// An experiment that trains in well under a second.
const EXPERIMENT: &str = r#"[data]
train = ["train.tsv"]
test = "test.tsv"

[vocab]
min_count = 1

[align]
method = "scratch"

[model]
layers = 1
hidden = 16
heads = 2
intermediate = 32

[train]
epochs = 2
batch = 32
warmup_steps = 2
"#;

/// Both heads, as a checkpoint for pretraining has them.
pub const ALL_HEADS: Heads = Heads {
    pooler: true,
    nsp: true,
    ..Heads::MLM
};

pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub fn empty() -> Self {
        skipped::list_at_end();
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self { folder }
    }

    /// With `experiment.toml`, 200 training rows and 40 test rows.
    pub fn with_pairs() -> Self {
        let workspace = Self::empty();
        workspace.write("experiment.toml", EXPERIMENT);
        workspace.write("train.tsv", pairs(200, 0, true));
        workspace.write("test.tsv", pairs(40, 1, false));
        workspace
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("room for a small file");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).expect("JSON")
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }

    /// The command with these arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cipherpet"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("COLUMNS", "100")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the command starts")
    }

    /// Runs, expects success, and gives stdout.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", self.transcript(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs, and gives exit status, stdout and stderr with what varies taken out.
    pub fn snapshot(&self, arguments: &[&str]) -> String {
        self.transcript(&self.run(arguments))
    }

    /// As [`Workspace::snapshot`], of something that was run.
    pub fn transcript(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| self.filtered(&String::from_utf8_lossy(bytes));
        format!(
            "exit: {}\n--- stdout\n{}--- stderr\n{}",
            output
                .status
                .code()
                .map_or("signal".to_owned(), |code| code.to_string()),
            text(&output.stdout),
            text(&output.stderr)
        )
    }

    fn filtered(&self, text: &str) -> String {
        let folder = self.folder.path();
        let real = folder.canonicalize().unwrap_or(folder.to_owned());
        let text = text
            .replace(&format!("{}/", real.display()), "")
            .replace(&format!("{}/", folder.display()), "");
        text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
    }

    /// Writes a tiny random BERT with the vocabulary `[PAD] … [MASK] a b c …`.
    pub fn write_checkpoint(&self, name: &str, heads: Heads) {
        self.write_random(name, heads, tiny_bert());
    }

    /// As [`Workspace::write_checkpoint`], an ALBERT of three layers that are one.
    pub fn write_albert(&self, name: &str, heads: Heads) {
        let config = BertConfig {
            num_hidden_layers: 3,
            hidden_act: Activation::GeluNew,
            albert: Some(Albert {
                embedding_size: 8,
                num_hidden_groups: 1,
            }),
            ..tiny_bert()
        };
        self.write_random(name, heads, config);
    }

    /// As [`Workspace::write_checkpoint`], with positions of another kind than a table.
    pub fn write_with_positions(&self, name: &str, heads: Heads, positions: Positions) {
        let config = BertConfig {
            positions,
            ..tiny_bert()
        };
        self.write_random(name, heads, config);
    }

    fn write_random(&self, name: &str, heads: Heads, config: BertConfig) {
        let weights = random_weights(&config, heads);
        let dir = self.path(name);
        save(&dir, &config, &weights, heads, FloatType::F32).expect("room for a tiny model");
        self.write(&format!("{name}/vocab.txt"), letters().join("\n") + "\n");
    }

    /// Counts of the letters of that vocabulary, `a` the most frequent.
    pub fn write_counts(&self, name: &str) {
        let line = |(count, letter): (u32, char)| format!("{letter}\t{count}\n");
        let lines: String = (1..=26).rev().zip('a'..='z').map(line).collect();
        self.write(name, lines);
    }
}

/// `[PAD] … [MASK] a b c …`
pub fn letters() -> Vec<String> {
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let letters = ('a'..='z').map(String::from);
    specials.into_iter().chain(letters).collect()
}

fn tiny_bert() -> BertConfig {
    BertConfig {
        vocab_size: letters().len(),
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 64,
        ..BertConfig::default()
    }
}

/// Writes a tiny BERT as it is before its training.
pub fn save_fresh(folder: &Path, heads: Heads) {
    let path = kernels::path::Path::F32;
    let model = Bert::initialise(tiny_bert(), heads, path, Key::from_seed(3));
    let model = model.expect("sizes above 0");
    let saved = save(
        folder,
        &model.config,
        &model.weights(),
        heads,
        FloatType::F32,
    );
    saved.expect("room for a tiny model");
}

fn random_weights(config: &BertConfig, heads: Heads) -> Weights {
    let key = Key::from_seed(11);
    let mut counter = 0;
    let mut draw = || {
        counter += 1;
        (key.bits(counter) >> 40) as f32 / (1 << 24) as f32 * 0.04 - 0.02
    };
    let tensors = names::tensors(config, heads).into_iter();
    tensors
        .map(|(name, shape)| {
            let values = ArrayD::from_shape_simple_fn(IxDyn(&shape), &mut draw);
            let is_norm = name.contains("LayerNorm.weight");
            (name, if is_norm { values + 1.0 } else { values })
        })
        .collect()
}

/// Rows of two sentences over 30 tokens; the label says whether the second is the first reversed.
pub fn pairs(rows: usize, seed: u64, labels: bool) -> String {
    let mut text = String::new();
    for row in 0..rows as u64 {
        let key = Key::from_seed(seed).at(row);
        let sentence = |stream: u64| -> Vec<u64> {
            let length = 2 + key.bits(100 * stream) % 5;
            (0..length)
                .map(|i| 1 + key.bits(100 * stream + 1 + i) % 30)
                .collect()
        };
        let same = key.bits(7777) % 2 == 1;
        let a = sentence(1);
        let b = if same {
            a.iter().rev().copied().collect()
        } else {
            sentence(2)
        };
        let join = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        write!(text, "{}\t{}", join(&a), join(&b)).expect("a String takes every write");
        if labels {
            write!(text, "\t{}", u8::from(same)).expect("a String takes every write");
        }
        text.push('\n');
    }
    text
}

/// The lines of a `metrics.jsonl`, each parsed.
pub fn metrics(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).expect("metrics");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is whole"))
        .collect()
}
