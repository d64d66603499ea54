//! Readers of a pretraining: its settings, its lines of text and its vocabulary.
//!
//! Out: [`Reader`]s with good files. Damages nothing.

use cipherpet::config::{self, Pretraining, Settings};
use cipherpet::error::Result;
use cipherpet::workbench::pretrain::pretrain;

use crate::input::Input;
use crate::reader::{Reader, silently};

const SETTINGS: &str = r#"seed = 3
[text]
files = "lines.txt"
dialogues = ["talk.txt"]
document_lines = 3
max_tokens = 12
held_out = 0.3
[vocab]
file = "vocab.txt"
min_count = 1
lower_case = true
[model]
layers = 1
hidden = 8
heads = 2
intermediate = 8
positions = 20
[objective]
name = "nsp"
mask = 0.3
mask_unit = "ngram"
mlm_weight = 0.5
[train]
max_steps = 1
batch = 4
average = "ema"
[[stage]]
name = "words"
objective = "mlm"
[[stage]]
name = "neighbours"
adversarial = "fgm"
r_drop = 0.5
"#;

const LINES: &str = "你好\n今天 天气 怎么样\nHello world\n今天\n你好 吗\n好\n";
const TALK: &str = "你好\n你好 吗\n好\n\n今天 怎么样\n天气 好\n\nhello\n好 吗\n\n你好 world\n今天 好\n\n天气\n好\n\n\
                    怎么样\n天气 好\n今天\n\nhello world\n你好\n";
const VOCAB: &str =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n你\n好\n今\n天\n气\n怎\n么\n样\nhello\nworld\n##s\n";

pub fn readers() -> Vec<Reader> {
    let text = |name: &str, content: &str| Input::new(name, content);
    let files = vec![
        text("pretrain.toml", SETTINGS),
        text("lines.txt", LINES).fixed(),
        text("talk.txt", TALK).fixed(),
        text("vocab.txt", VOCAB).fixed(),
    ];
    let of_settings = Reader::new("pretraining", 2500, files, |folder| {
        let file = folder.join("pretrain.toml");
        let loaded = config::load_as::<Pretraining>(Some(&file), &[])?;
        let settings = &loaded.experiment;
        settings.to_toml()?;
        settings.sha256()?;
        loaded.check()?;
        settings.stages();
        settings.inputs();
        Result::Ok(())
    });
    let files = vec![
        text("pretrain.toml", SETTINGS).fixed(),
        text("lines.txt", LINES),
        text("talk.txt", TALK),
        text("vocab.txt", VOCAB),
    ];
    let of_text = Reader::new("pretrain", 300, files, |folder| {
        let (file, out) = (folder.join("pretrain.toml"), folder.join("out"));
        let loaded = config::load_as::<Pretraining>(Some(&file), &[])?;
        silently(|context| pretrain(&loaded, Some(&out), context)).map(drop)
    });
    vec![of_settings, of_text]
}
