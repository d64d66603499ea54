//! Which instructions compute the matrix products: chosen once a model, by name.
//!
//! In: the [`Precision`] that was asked for, and what the CPU has. Out: a [`Path`]. Results are the same bytes on one path
//! only, so the manifest names it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::gemm::bf16::{Bf16, Kernel};
use crate::error::{Error, Result};

/// Overrides `auto`, so that tests and benchmarks choose a path without touching a config: `f32`, `bf16` or `auto`.
pub const VARIABLE: &str = "CIPHERPET_PRECISION";

/// The number type of matrix products. Sums, weights, norms, softmax and loss are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The fastest that the CPU has.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16; f32 where the CPU has no instructions for it.
    Bf16,
}

/// How the products of a model are computed.
#[derive(Debug, Clone, Copy)]
pub enum Path {
    /// In f32, by the `gemm` crate.
    F32,
    /// In bf16, by own kernels.
    Bf16(Bf16),
}

/// Refuses any other word in [`VARIABLE`], which would else count for nothing.
///
/// # Errors
/// [`Error::Refused`] with the words that there are.
pub fn check_variable() -> Result<()> {
    match std::env::var(VARIABLE).as_deref() {
        Ok(word) if !["f32", "bf16", "auto", ""].contains(&word) => {
            let message = format!("the environment sets {VARIABLE} to `{word}`");
            Err(Error::refused(message).with_hint("set `f32`, `bf16` or `auto`, or unset it"))
        }
        _ => Ok(()),
    }
}

impl Path {
    /// The path for a precision on this CPU.
    pub fn resolve(precision: Precision) -> Self {
        let precision = match (precision, std::env::var(VARIABLE).as_deref()) {
            (Precision::Auto, Ok("f32")) => Precision::F32,
            (precision, _) => precision,
        };
        match precision {
            Precision::F32 => Self::F32,
            Precision::Auto | Precision::Bf16 => [Kernel::Amx, Kernel::Avx512]
                .into_iter()
                .find_map(Bf16::new)
                .map_or(Self::F32, Self::Bf16),
        }
    }

    /// Name for the manifest, such as `bf16 amx` or `f32 avx2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16(bf16) => bf16.name(),
            Self::F32 => f32_name(),
        }
    }

    /// Whether weights are to be packed.
    pub fn packs(self) -> bool {
        matches!(self, Self::Bf16(_))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn f32_name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return "f32 avx512";
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return "f32 avx2";
        }
    }
    if cfg!(target_arch = "aarch64") {
        "f32 neon"
    } else {
        "f32 portable"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_is_always_there_and_bf16_falls_back_to_it() {
        assert!(Path::resolve(Precision::F32).name().starts_with("f32 "));
        let has_bf16 = [Kernel::Amx, Kernel::Avx512]
            .into_iter()
            .any(|k| Bf16::new(k).is_some());
        let name = Path::resolve(Precision::Bf16).name();
        assert_eq!(name.starts_with("bf16 "), has_bf16, "{name}");
    }
}
