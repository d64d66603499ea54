//! What must hold of the size of a network: widths, layers, positions for the longest row, weights that a machine holds.
//!
//! In: loaded settings of any kind, and a size. Out: nothing, or the first problem with the place where its key was set.

use super::Loaded;
use crate::checkpoint::positions::most_positions;
use crate::checkpoint::{BertConfig, Heads, names};
use crate::config::{ModelConfig, Settings, Stage};
use crate::error::{Error, Result};

// Far beyond what anybody trains; a number from a setting must not become a loop or a size before it is looked at.
const MOST_LAYERS: usize = 1000;
const MOST_WIDTH: usize = 65_536;
/// Of the whole network: 8 GB, with gradients and moments 32 GB.
const MOST_WEIGHTS: usize = 2_000_000_000;

/// How long rows are.
pub(super) struct Longest<'a> {
    /// The key that says it.
    pub key: &'a str,
    /// Tokens of their texts.
    pub max_tokens: usize,
    /// Tokens beside those: `[CLS]`, and a `[SEP]` after each text.
    pub special: usize,
}

impl Longest<'_> {
    fn needed(&self) -> usize {
        self.max_tokens.saturating_add(self.special)
    }
}

impl<T: Settings> Loaded<T> {
    /// Ranges of `[model]`; sizes can only be chosen where the network has none yet.
    pub(super) fn check_sizes(
        &self,
        model: &ModelConfig,
        is_fresh: bool,
        way_out: &str,
    ) -> Result<()> {
        let sizes = [
            ("model.layers", model.layers, MOST_LAYERS),
            ("model.hidden", model.hidden, MOST_WIDTH),
            ("model.heads", model.heads, MOST_WIDTH),
            ("model.intermediate", model.intermediate, MOST_WIDTH),
        ];
        if let Some(positions) = model.positions {
            self.at_most(MOST_WIDTH, "model.positions", positions)?;
        }
        for (key, size, most) in sizes {
            let Some(size) = size else { continue };
            self.at_least(1, key, size)?;
            self.at_most(most, key, size)?;
            if !is_fresh {
                let expected = "no value: the checkpoint has its size";
                let error = Error::input(self.place(key), expected, size);
                return Err(error.with_hint(way_out));
            }
        }
        Ok(())
    }

    /// Refuses rows longer than the model has positions.
    pub(super) fn check_length(&self, config: &BertConfig, rows: &Longest<'_>) -> Result<()> {
        let Longest {
            key,
            max_tokens,
            special,
        } = *rows;
        let longest = config.max_position_embeddings.saturating_sub(special);
        if max_tokens <= longest {
            return Ok(());
        }
        let expected = format!(
            "at most {longest} (the model has {} positions, {special} are for [CLS] and [SEP])",
            config.max_position_embeddings
        );
        let error = Error::input(self.place(key), expected, max_tokens);
        let needed = rows.needed();
        Err(error.with_hint(match needed <= MOST_WIDTH {
            true => format!("lower {key}, or set model.positions = {needed}"),
            false => format!("lower {key}"),
        }))
    }

    /// Refuses stages whose objective tells two texts apart where the network cannot. `key` is the place of the network.
    pub(super) fn check_token_types(
        &self,
        config: &BertConfig,
        key: &str,
        stages: &[Stage],
    ) -> Result<()> {
        let mut objectives = stages.iter().map(|stage| stage.objective);
        let asks = objectives.find(|objective| objective.of_pairs().is_some());
        let Some(asks) = asks.filter(|_| config.type_vocab_size < 2) else {
            return Ok(());
        };
        let name = asks.name();
        let expected = "another objective, as the model has one token type";
        let error = Error::input(self.place(key), expected, format!("`{name}`"));
        Err(error.with_hint(format!(
            "`{name}` tells two texts apart by token types 0 and 1: take another BERT"
        )))
    }

    /// Refuses heads that do not divide the width, and a network of more weights than a machine holds.
    pub(super) fn check_width(&self, config: &BertConfig, is_fresh: bool) -> Result<()> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        self.require(
            heads > 0 && hidden % heads == 0,
            "model.heads",
            format!("a divisor of the hidden size {hidden}"),
            heads,
        )?;
        let n_weights = names::n_weights(config, Heads::MLM);
        self.require(
            n_weights <= MOST_WEIGHTS,
            "model.hidden",
            format!("a network of at most {MOST_WEIGHTS} weights"),
            format!("{n_weights} with these sizes"),
        )
        .map_err(|error| match is_fresh {
            true => error.with_hint("lower model.hidden, model.layers or model.intermediate"),
            false => error.with_hint("set checkpoint.dir to a smaller BERT"),
        })
    }

    /// Positions of a network that starts from a checkpoint of this size, where `[model]` may want more.
    pub(super) fn positions_from(
        &self,
        checkpoint: &BertConfig,
        model: &ModelConfig,
        rows: &Longest<'_>,
    ) -> Result<usize> {
        let own = checkpoint.max_position_embeddings;
        let Some(wanted) = model.positions else {
            return Ok(own);
        };
        let most = most_positions(checkpoint);
        let holds = (own..=most).contains(&wanted);
        let expected = format!("a number from {own}, which the checkpoint has, to {most}");
        self.require(holds, "model.positions", expected, wanted)
            .map_err(|error| error.with_hint(enough_positions(own, most, rows)))?;
        Ok(wanted)
    }
}

/// The positions to ask for where a checkpoint has `own` and can have `most`.
fn enough_positions(own: usize, most: usize, rows: &Longest<'_>) -> String {
    let (key, max_tokens, needed) = (rows.key, rows.max_tokens, rows.needed());
    if needed <= own {
        format!("leave model.positions out: {own} are enough for {key} = {max_tokens}")
    } else if needed <= most {
        format!("set model.positions = {needed}: enough for {key} = {max_tokens}")
    } else {
        let longest = most.saturating_sub(rows.special);
        format!("set model.positions = {most}, and {key} to {longest} or less")
    }
}
