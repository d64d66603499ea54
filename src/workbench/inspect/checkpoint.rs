//! What the folder of a BERT holds, and which heads it lacks.
//!
//! In: a folder (or `demo:`). Out: a [`CheckpointInspection`], as text for people and as JSON: architecture and sizes, how the
//! weights are written, the heads that are there, and what to know before trusting them. Weights are read and checked as a run would
//! do it. Computes nothing with them.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::read::{Format, Stored};
use crate::checkpoint::{BertConfig, Heads, Positions, Weights, names};
use crate::error::Result;
use crate::vocab::PlainVocab;

/// Tensors that a warning names.
const LISTED: usize = 3;

/// All that [`inspect_checkpoint`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointInspection {
    /// As the user named it.
    pub folder: PathBuf,
    /// Its `model_type`.
    pub architecture: &'static str,
    /// Sizes, under the keys of `config.json`.
    pub config: BertConfig,
    /// Where the weights lie.
    pub weights: PathBuf,
    /// How they are written there.
    pub format: Format,
    /// Types of their numbers as `transformers` calls them.
    pub float_types: Vec<&'static str>,
    /// Numbers to learn.
    pub n_weights: usize,
    /// The heads that are there.
    pub heads: Vec<String>,
    /// Those that are not.
    pub lacks: Vec<String>,
    /// Outputs of the classifier.
    pub n_outputs: Option<usize>,
    /// Whether the MLM head decodes with the word embeddings. None without one.
    pub tied: Option<bool>,
    /// Tokens of `vocab.txt` or `tokenizer.json`; none where it cannot be used.
    pub vocabulary: Option<usize>,
    /// What to know before one trusts it.
    pub warnings: Vec<String>,
}

/// Looks at a checkpoint folder or at `demo:`.
///
/// # Errors
/// Those of [`Stored::read`].
pub fn inspect_checkpoint(folder: &Path) -> Result<CheckpointInspection> {
    let stored = Stored::read(folder)?;
    let vocabulary = PlainVocab::open(folder);
    let every = Heads {
        pooler: true,
        nsp: true,
        classifier: Some(stored.heads.classifier.unwrap_or(1)),
        ..Heads::MLM
    };
    let (there, lacks): (Vec<Heads>, Vec<Heads>) = every
        .each()
        .partition(|&head| stored.heads.each().any(|there| there == head));
    let mut warnings: Vec<String> = there
        .iter()
        .filter_map(|&head| warning_of_head(head, &stored, folder))
        .collect();
    warnings.extend(
        stored
            .untied
            .as_ref()
            .map(|error| format!("{error}; a run refuses that")),
    );
    warnings.extend(warning_of_unread(&stored.unread));
    match &vocabulary {
        Err(error) => warnings.push(format!("no vocabulary to align with: {error}")),
        Ok(plain) if plain.len() != stored.config.vocab_size => warnings.push(format!(
            "the vocabulary has {} tokens, the word embeddings {} rows; a run refuses that",
            plain.len(),
            stored.config.vocab_size
        )),
        Ok(_) => {}
    }
    let named = |heads: &[Heads]| heads.iter().map(Heads::to_string).collect();
    Ok(CheckpointInspection {
        folder: folder.to_owned(),
        architecture: stored.config.model_type(),
        n_weights: names::n_weights(&stored.config, stored.heads),
        heads: named(&there),
        lacks: named(&lacks),
        n_outputs: stored.heads.classifier,
        tied: stored.heads.mlm.then_some(stored.untied.is_none()),
        vocabulary: vocabulary.ok().map(|plain| plain.len()),
        warnings,
        config: stored.config,
        weights: stored.file,
        format: stored.format,
        float_types: stored.float_types,
    })
}

/// Why not to trust a head that is there.
fn warning_of_head(head: Heads, stored: &Stored, folder: &Path) -> Option<String> {
    if is_fresh(head, &stored.config, &stored.weights) {
        return Some(format!(
            "the {head} looks untrained: its biases are all 0, as they begin"
        ));
    }
    if !head.nsp {
        return None;
    }
    if stored.config.positions == Positions::Rotary {
        return None; // `transformers` has no class for it: whoever gave a RoFormer the head has trained it
    }
    if stored.config.albert.is_some() {
        return Some("an ALBERT learns the order of two texts and not whether they belong together: take the NSP head as that".to_owned());
    }
    let architectures = stored.architectures.join(", ");
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_for_pairs =
        architectures.contains("ForPreTraining") || architectures.contains("NextSentence");
    if name.to_lowercase().contains("roberta") {
        Some("RoBERTa-style checkpoints are trained without next sentences: take the NSP head as untrained".to_owned())
    } else if !is_for_pairs && !architectures.is_empty() {
        Some(format!(
            "config.json names {architectures}, which learns no next sentences: take the NSP head as untrained"
        ))
    } else {
        None
    }
}

/// Whether every bias of a head is 0. Training moves them; only fresh ones are exactly that.
fn is_fresh(head: Heads, config: &BertConfig, weights: &Weights) -> bool {
    let tensors = names::head_tensors(config, head).into_iter();
    let mut biases = tensors.filter(|(name, _)| name.ends_with("bias"));
    biases.all(|(name, _)| weights[&name].iter().all(|&x| x == 0.0))
}

fn warning_of_unread(unread: &[String]) -> Option<String> {
    if unread.is_empty() {
        return None;
    }
    let shown: Vec<String> = unread
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = match unread.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!(
        "not read, as no part of the network: {}{more}",
        shown.join(", ")
    ))
}

/// How many positions there are, and of what kind where they are no rows of a table.
fn positions(config: &BertConfig) -> String {
    let n = config.max_position_embeddings;
    match config.positions {
        Positions::Absolute => format!("{n} positions"),
        Positions::Relative { max_distance } => {
            format!("{n} positions (relative, to {max_distance} apart)")
        }
        Positions::Rotary => format!("{n} positions (rotary)"),
    }
}

impl Display for CheckpointInspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        let layers = match (config.num_hidden_layers, config.n_distinct_layers()) {
            (1, _) => "1 layer".to_owned(),
            (all, distinct) if all == distinct => format!("{all} layers"),
            (all, 1) => format!("{all} layers of the same weights"),
            (all, distinct) => format!("{all} layers of {distinct} weights"),
        };
        writeln!(
            f,
            "{}: {}, {layers}, {} wide, {} attention heads, {} inside the feed-forward block",
            self.folder.display().to_string().trim_end_matches(':'),
            self.architecture,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size
        )?;
        writeln!(
            f,
            "embeddings: {} wide, {} tokens, {}, {} segments",
            config.embedding_size(),
            config.vocab_size,
            positions(config),
            config.type_vocab_size
        )?;
        writeln!(
            f,
            "weights: {:.2} million, {}, {}",
            self.n_weights as f64 / 1e6,
            self.float_types.join(" and "),
            self.weights.display()
        )?;
        let or_none = |names: &[String]| match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        writeln!(f, "heads: {}", or_none(&self.heads))?;
        writeln!(f, "lacks: {}", or_none(&self.lacks))?;
        match self.tied {
            Some(true) => writeln!(f, "decoder: tied to the word embeddings")?,
            Some(false) => writeln!(f, "decoder: of its own")?,
            None => {}
        }
        if let Some(n) = self.n_outputs {
            writeln!(f, "classifier: {n} outputs")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}
