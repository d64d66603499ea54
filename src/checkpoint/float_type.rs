//! How a weight is stored in a file: its name, its bytes, and which numbers it can hold.

use half::{bf16, f16};
use safetensors::Dtype;

/// Storage type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// 4 bytes, exact.
    F32,
    /// 2 bytes, 11 bits of precision, at most 65,504.
    F16,
    /// 2 bytes, 8 bits of precision, the range of f32.
    Bf16,
}

impl FloatType {
    /// The name in a `config.json`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }

    pub(super) fn bytes(self, values: impl Iterator<Item = f32>) -> Vec<u8> {
        match self {
            Self::F32 => values.flat_map(f32::to_le_bytes).collect(),
            Self::F16 => values
                .flat_map(|x| f16::from_f32(x).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .flat_map(|x| bf16::from_f32(x).to_le_bytes())
                .collect(),
        }
    }

    /// Whether `x` is still a number when stored.
    pub(super) fn holds(self, x: f32) -> bool {
        match self {
            Self::F32 => x.is_finite(),
            Self::F16 => f16::from_f32(x).is_finite(),
            Self::Bf16 => bf16::from_f32(x).is_finite(),
        }
    }
}
