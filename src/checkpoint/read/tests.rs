//! Sound folders in every dialect, then one test a malformed one.

use std::collections::BTreeMap;
use std::fs;

use ndarray::ArrayD;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};

use super::*;
use crate::checkpoint::FloatType;
use crate::checkpoint::weight_file::{CALLED, OTHER_CONFIG};
use crate::checkpoint::write::save;

const ALL: Heads = Heads {
    pooler: true,
    nsp: true,
    ..Heads::MLM
};
const QUERY: &str = "bert.encoder.layer.0.attention.self.query.weight";

fn config() -> BertConfig {
    BertConfig {
        vocab_size: 9,
        hidden_size: 4,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 6,
        max_position_embeddings: 5,
        ..BertConfig::default()
    }
}

/// No two tensors alike, and every number a multiple of 1/8 below 16, so that f16 and bf16 hold it.
fn weights(heads: Heads) -> Weights {
    let numbered = names::tensors(&config(), heads).into_iter().enumerate();
    let values = |i: usize, shape: Vec<usize>| {
        let n: usize = shape.iter().product();
        let values = (0..n)
            .map(|j| ((5 * i + j) % 127) as f32 / 8.0 - 4.0)
            .collect();
        ArrayD::from_shape_vec(shape, values).expect("the shape")
    };
    numbered
        .map(|(i, (name, shape))| (name, values(i, shape)))
        .collect()
}

/// A BERT folder to be spoilt: tensors as a file stores them, then the files.
struct Folder {
    dir: tempfile::TempDir,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Folder {
    /// What [`save`] writes for [`weights`], with a vocabulary.
    fn sound(heads: Heads) -> Self {
        Self::stored_as(heads, FloatType::F32)
    }

    fn stored_as(heads: Heads, float: FloatType) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        save(dir.path(), &config(), &weights(heads), heads, float).expect("room");
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n";
        fs::write(dir.path().join("vocab.txt"), vocab).expect("room");
        let bytes = fs::read(dir.path().join(WEIGHTS)).expect("it was written");
        let file = SafeTensors::deserialize(&bytes).expect("a sound file");
        let stored = |view: TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, stored(view)))
            .collect();
        Self { dir, tensors }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn rename(&mut self, rule: impl Fn(&str) -> String) {
        self.tensors = std::mem::take(&mut self.tensors)
            .into_iter()
            .map(|(name, t)| (rule(&name), t))
            .collect();
    }

    fn put(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensors
            .insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
    }

    fn put_copy(&mut self, of: &str, name: &str) {
        let copy = self.tensors[of].clone();
        self.tensors.insert(name.to_owned(), copy);
    }

    /// Writes the tensors as they are now.
    fn written(self) -> Self {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (
                name,
                TensorView::new(*dtype, shape.clone(), bytes).expect("whole numbers of its type"),
            )
        });
        let bytes = serialize(views, None).expect("tensors");
        fs::write(self.path().join(WEIGHTS), bytes).expect("room");
        self
    }

    fn read(&self) -> Result<(BertConfig, Weights, Heads)> {
        read_model(self.path())
    }

    /// Message and hint of the error, with the folder's path as `DIR`.
    fn error(&self) -> (String, String) {
        self.told(self.read().expect_err("the folder is bad"))
    }

    fn told(&self, error: Error) -> (String, String) {
        let dir = self.path().display().to_string();
        let hint = error.hint().unwrap_or_default().replace(&dir, "DIR");
        (error.to_string().replace(&dir, "DIR"), hint)
    }
}

#[test]
fn what_is_saved_reads_back_the_same() {
    let none = Heads::default();
    let pooler = Heads {
        pooler: true,
        ..none
    };
    let classifier = Heads {
        classifier: Some(3),
        ..pooler
    };
    for heads in [ALL, Heads::MLM, pooler, classifier, none] {
        let read = Folder::sound(heads).read().expect("a sound folder");
        assert_eq!(read, (config(), weights(heads), heads));
    }
}

#[test]
fn half_precision_reads_to_the_same_numbers() {
    for float in [FloatType::F16, FloatType::Bf16] {
        let folder = Folder::stored_as(ALL, float);
        assert_eq!(folder.tensors[QUERY].2.len(), 2 * 4 * 4);
        assert_eq!(
            folder.read().expect("a sound folder").1,
            weights(ALL),
            "{float:?}"
        );
    }
}

#[test]
fn legacy_layer_norm_names() {
    let mut folder = Folder::sound(ALL);
    folder.rename(|name| {
        name.replace("Norm.weight", "Norm.gamma")
            .replace("Norm.bias", "Norm.beta")
    });
    assert!(
        folder
            .tensors
            .contains_key("bert.embeddings.LayerNorm.gamma")
    );
    assert_eq!(
        folder.written().read().expect("a sound folder").1,
        weights(ALL)
    );
}

#[test]
fn missing_bert_prefix() {
    let heads = Heads {
        pooler: true,
        ..Heads::default()
    };
    let mut folder = Folder::sound(heads);
    folder.rename(|name| name.strip_prefix("bert.").expect("a prefix").to_owned());
    assert_eq!(
        folder.written().read().expect("a sound folder"),
        (config(), weights(heads), heads)
    );
}

#[test]
fn tied_copies_and_buffers_are_left_out() {
    let mut folder = Folder::sound(ALL);
    folder.put_copy(names::WORD_EMBEDDINGS, names::DECODER_WEIGHT);
    folder.put_copy(names::MLM_BIAS, names::DECODER_BIAS);
    let positions = (0..5i64).flat_map(i64::to_le_bytes).collect();
    folder.tensors.insert(
        "bert.embeddings.position_ids".to_owned(),
        (Dtype::I64, vec![1, 5], positions),
    );
    folder.put("classifier.bias", &[3], &[0.0; 3]);
    assert_eq!(
        folder.written().read().expect("a sound folder"),
        (config(), weights(ALL), ALL)
    );
}

#[test]
fn mlm_bias_under_the_name_of_the_decoder_only() {
    let mut folder = Folder::sound(ALL);
    folder.rename(|name| name.replace(names::MLM_BIAS, names::DECODER_BIAS));
    assert_eq!(
        folder.written().read().expect("a sound folder").1,
        weights(ALL)
    );
}

#[test]
fn golden_file_of_transformers_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden/bert_tiny.json")).unwrap();
    fs::write(dir.path().join(CONFIG), golden["config"].to_string()).unwrap();
    let bytes = include_bytes!("../../../tests/golden/bert_tiny.safetensors");
    fs::write(dir.path().join(WEIGHTS), bytes).unwrap();
    let (config, weights, heads) = read_model(dir.path()).unwrap();
    assert_eq!(
        (config.vocab_size, config.layer_norm_eps, heads),
        (61, 1e-12, ALL)
    );
    let n_parameters: usize = weights.values().map(ArrayD::len).sum();
    assert_eq!(
        n_parameters as u64,
        golden["sizes"]["parameters"].as_u64().unwrap()
    );
}

#[test]
fn checkpoint_comes_with_its_vocabulary() {
    let checkpoint = Checkpoint::open(Folder::sound(ALL).path()).unwrap();
    assert_eq!(checkpoint.plain.len(), 9);
    assert_eq!(checkpoint.weights, weights(ALL));
}

#[test]
fn no_such_folder() {
    let error = read_model(Path::new("no/such")).unwrap_err();
    let expected = "no/such: expected a BERT folder with config.json, model.safetensors and vocab.txt or tokenizer.json, found no such folder";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn no_config() {
    let folder = Folder::sound(ALL);
    fs::remove_file(folder.path().join(CONFIG)).unwrap();
    let expected = "DIR: expected a BERT folder with config.json, model.safetensors and vocab.txt or tokenizer.json, found no config.json in it";
    assert_eq!(folder.error().0, expected);
}

#[test]
fn no_weights_file() {
    let folder = Folder::sound(ALL);
    fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    assert_eq!(
        folder.error().0,
        "DIR: expected model.safetensors, pytorch_model.bin or bert_model.ckpt.index in the folder, found none"
    );
}

#[test]
fn a_pytorch_file_that_holds_no_tensors() {
    let folder = Folder::sound(ALL);
    let path = folder.path().join("pytorch_model.bin");
    fs::rename(folder.path().join(WEIGHTS), &path).unwrap();
    let (message, hint) = folder.error();
    let expected =
        "DIR/pytorch_model.bin: expected tensors as torch.save stores them, found no zip archive";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(
        hint,
        "the file is cut off or damaged: copy or download it again"
    );
    fs::write(&path, b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.").unwrap();
    let (_, hint) = folder.error();
    assert!(
        hint.starts_with("it is of PyTorch before 1.6; store it anew: python -c \""),
        "{hint}"
    );
    assert!(hint.ends_with("\" DIR/pytorch_model.bin"), "{hint}");
}

#[test]
fn a_pytorch_file_that_calls_a_function_is_not_said_to_be_damaged() {
    let found = format!("a call of `posix.system`, {CALLED}");
    let error = not_torch(Path::new("pytorch_model.bin"), b"PK", found);
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("save the weights alone"), "{hint}");
    assert!(hint.contains("load it nowhere else"), "{hint}");
}

#[cfg(unix)]
#[test]
fn the_shell_runs_nothing_that_stands_in_the_name_of_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent
        .path()
        .join("a $(echo ran > hit) `echo ran > hit` 'b");
    fs::create_dir(&dir).unwrap();
    let file = dir.join("pytorch_model.bin");
    let error = not_torch(&file, b"\x80\x02", "an old file".to_owned());
    let (_, command) = error.hint().unwrap().split_once("store it anew: ").unwrap();
    let script = format!("python() {{ printf '%s\\n' \"$3\"; }}; {command}");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(parent.path())
        .output()
        .unwrap();
    let name = format!("{}\n", file.display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), name);
    assert!(!parent.path().join("hit").exists());
}

#[test]
fn truncated_safetensors_file() {
    let folder = Folder::sound(ALL);
    let path = folder.path().join(WEIGHTS);
    let bytes = fs::read(&path).unwrap();
    for (n_bytes, reason) in [
        (
            bytes.len() - 1,
            "incomplete metadata, file not fully covered",
        ),
        (100, "invalid header length"),
        (0, "header too small"),
    ] {
        fs::write(&path, &bytes[..n_bytes]).unwrap();
        let expected = format!(
            "DIR/model.safetensors: expected a complete safetensors file, found {n_bytes} bytes ({reason})"
        );
        let hint = "the file is cut off or damaged: copy or download it again";
        assert_eq!(folder.error(), (expected, hint.to_owned()));
    }
}

#[test]
fn pointer_of_git_lfs() {
    let folder = Folder::sound(ALL);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 409\n";
    fs::write(folder.path().join(WEIGHTS), pointer).unwrap();
    assert_eq!(
        folder.error().1,
        "this is a pointer of Git LFS: fetch the file itself with `git lfs pull`"
    );
}

#[test]
fn misshapen_tensor() {
    let mut folder = Folder::sound(ALL);
    folder.put(QUERY, &[4, 3], &[0.0; 12]);
    let message = format!("DIR/model.safetensors:{QUERY}: expected shape [4, 4], found [4, 3]");
    let hint = "config.json says hidden_size = 4; is config.json that of this file?";
    assert_eq!(folder.written().error(), (message, hint.to_owned()));
}

#[test]
fn transposed_tensor() {
    let mut folder = Folder::sound(ALL);
    let name = "bert.encoder.layer.0.intermediate.dense.weight";
    folder.put(name, &[4, 6], &[0.0; 24]);
    let message = format!("DIR/model.safetensors:{name}: expected shape [6, 4], found [4, 6]");
    let hint = "config.json says intermediate_size = 6, hidden_size = 4; is config.json that of this file?";
    assert_eq!(folder.written().error(), (message, hint.to_owned()));
}

#[test]
fn one_missing_tensor() {
    let mut folder = Folder::sound(ALL);
    folder.tensors.remove(QUERY);
    let message = format!("DIR/model.safetensors: expected `{QUERY}`, found 29 of 30 tensors");
    assert_eq!(folder.written().error(), (message, OTHER_CONFIG.to_owned()));
}

#[test]
fn many_missing_tensors() {
    let mut folder = Folder::sound(ALL);
    folder.tensors.retain(|name, _| !name.contains("attention"));
    let message = "DIR/model.safetensors: expected \
        `bert.encoder.layer.0.attention.self.query.weight`, `bert.encoder.layer.0.attention.self.query.bias`, \
        `bert.encoder.layer.0.attention.self.key.weight`, `bert.encoder.layer.0.attention.self.key.bias`, \
        `bert.encoder.layer.0.attention.self.value.weight`, `bert.encoder.layer.0.attention.self.value.bias` and 4 more, \
        found 20 of 30 tensors";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn half_an_mlm_head() {
    let mut folder = Folder::sound(ALL);
    folder.tensors.remove(names::MLM_BIAS);
    let message = "DIR/model.safetensors: expected `cls.predictions.bias`, found 29 of 30 tensors";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn nsp_head_without_pooler() {
    let mut folder = Folder::sound(ALL);
    folder.tensors.retain(|name, _| !name.contains("pooler"));
    let message = "DIR/model.safetensors: expected `bert.pooler.dense.weight`, `bert.pooler.dense.bias`, found 28 of 30 tensors";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn more_layers_than_the_config_says() {
    let mut folder = Folder::sound(ALL);
    folder.put_copy(QUERY, &QUERY.replace("layer.0", "layer.1"));
    let message = "DIR/model.safetensors: expected 1 encoder layers (`num_hidden_layers` in config.json), found 2";
    assert_eq!(
        folder.written().error(),
        (message.to_owned(), OTHER_CONFIG.to_owned())
    );
}

#[test]
fn fewer_layers_than_the_config_says() {
    let folder = Folder::sound(ALL);
    let n_layers = usize::MAX / 64; // must not be tried out
    let config = BertConfig {
        num_hidden_layers: n_layers,
        ..config()
    };
    let text = config.to_json(ALL, FloatType::F32, None);
    fs::write(folder.path().join(CONFIG), text).unwrap();
    let message = format!(
        "DIR/model.safetensors: expected {n_layers} encoder layers (`num_hidden_layers` in config.json), found 1"
    );
    assert_eq!(folder.error().0, message);
}

#[test]
fn weights_of_another_architecture() {
    let mut folder = Folder::sound(ALL);
    folder.rename(|name| format!("model.{name}"));
    let message = "DIR/model.safetensors: expected 1 encoder layers (`num_hidden_layers` in config.json), \
        found none, but `model.bert.embeddings.LayerNorm.bias`";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn tensor_under_two_names() {
    let mut folder = Folder::sound(ALL);
    folder.put_copy(
        "bert.embeddings.LayerNorm.weight",
        "bert.embeddings.LayerNorm.gamma",
    );
    let message = "DIR/model.safetensors:bert.embeddings.LayerNorm.weight: expected `bert.embeddings.LayerNorm.weight` once, found it under two names";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn weights_of_another_type() {
    let mut folder = Folder::sound(ALL);
    let doubles = vec![0; 8 * 16];
    folder
        .tensors
        .insert(QUERY.to_owned(), (Dtype::F64, vec![4, 4], doubles));
    let message = format!(
        "DIR/model.safetensors:{QUERY}: expected numbers of type F32, F16 or BF16, found F64"
    );
    assert_eq!(
        folder.written().error(),
        (message, "save the checkpoint again as float32".to_owned())
    );
}

#[test]
fn weights_that_are_not_finite() {
    let mut folder = Folder::sound(ALL);
    let mut values = [0.0; 16];
    values[7] = f32::NAN;
    folder.put(QUERY, &[4, 4], &values);
    let message = format!("DIR/model.safetensors:{QUERY}: expected finite numbers, found NaN");
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn decoder_that_differs_from_the_word_embeddings() {
    let mut folder = Folder::sound(ALL);
    let mut values: Vec<f32> = weights(ALL)[names::WORD_EMBEDDINGS]
        .iter()
        .copied()
        .collect();
    values[4 * 6 + 1] += 0.5;
    folder.put(names::DECODER_WEIGHT, &[9, 4], &values);
    let message = "DIR/model.safetensors:cls.predictions.decoder.weight: \
        expected the numbers of `bert.embeddings.word_embeddings.weight`, to which it is tied, found others from row 6 on";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn decoder_bias_that_differs_from_the_mlm_bias() {
    let mut folder = Folder::sound(ALL);
    folder.put(names::DECODER_BIAS, &[9], &[100.0; 9]);
    let message = "DIR/model.safetensors:cls.predictions.decoder.bias: \
        expected the numbers of `cls.predictions.bias`, to which it is tied, found others from row 0 on";
    assert_eq!(folder.written().error().0, message);
}

#[test]
fn vocabulary_of_another_length() {
    let folder = Folder::sound(ALL);
    fs::write(
        folder.path().join("vocab.txt"),
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n",
    )
    .unwrap();
    let (message, hint) = folder.told(Checkpoint::open(folder.path()).unwrap_err());
    assert_eq!(
        message,
        "DIR/vocab.txt: expected 9 tokens (`vocab_size` in config.json), found 6"
    );
    assert_eq!(
        hint,
        "vocabulary and model must come from the same checkpoint"
    );
}

#[test]
fn checkpoint_without_an_mlm_head() {
    let heads = Heads { mlm: false, ..ALL };
    let folder = Folder::sound(heads);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.heads, heads);
    let (message, hint) = folder.told(checkpoint.require_mlm(folder.path()).unwrap_err());
    assert_eq!(
        message,
        "DIR/model.safetensors: expected an MLM head (`cls.predictions.…`), found none"
    );
    assert_eq!(
        hint,
        "take a checkpoint that was saved as BertForMaskedLM or BertForPreTraining"
    );
    let sound = Folder::sound(ALL);
    assert!(
        Checkpoint::open(sound.path())
            .unwrap()
            .require_mlm(sound.path())
            .is_ok()
    );
}
