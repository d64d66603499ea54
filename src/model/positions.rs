//! What is fixed of a network's positions: tables that are made once and never trained.
//!
//! In: sizes. Out: the tables that the kernels want, kept beside the weights. Absolute positions are weights and not here.

use crate::checkpoint::sinusoids::Sinusoids;
use crate::checkpoint::{BertConfig, Positions};
use crate::kernels::relative::RelativeTable;
use crate::kernels::rotary::RotaryTable;

/// What no training changes.
#[derive(Debug)]
pub(super) enum FixedPositions {
    /// Nothing: the positions are weights.
    None,
    /// The distances of a NEZHA.
    Relative(RelativeTable),
    /// The angles of a RoFormer.
    Rotary(RotaryTable),
}

impl FixedPositions {
    /// Of a network of this size.
    pub(super) fn new(config: &BertConfig) -> Self {
        let size = config.hidden_size / config.num_attention_heads;
        match config.positions {
            Positions::Absolute => Self::None,
            Positions::Relative { max_distance } => {
                let waves = Sinusoids::new(2 * max_distance + 1, size);
                let pairs = waves.sines.iter().zip(&waves.cosines);
                let rows = pairs.flat_map(|(&sine, &cosine)| [sine, cosine]);
                Self::Relative(RelativeTable::new(rows.collect(), size))
            }
            Positions::Rotary => {
                let waves = Sinusoids::new(config.max_position_embeddings, size);
                Self::Rotary(RotaryTable::new(waves.sines, waves.cosines, size))
            }
        }
    }
}
