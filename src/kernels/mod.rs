//! Plain `&[f32]` arithmetic: everything the network computes, forward and backward.
//!
//! In: row-major slices and sizes; out: slices. Knows nothing of dfdx, files or configuration.
//! The naive twin of each kernel stands in its tests.
//!
//! Two rules make results the same bytes for any number of threads: work is split over output rows or
//! tiles of a fixed size ([`rows`]), and an inner sum never depends on how the work was split.
//! Vector code is ordinary loops, compiled once for each instruction set and chosen when first called
//! (`multiversion`); every lane does the same IEEE operations, so only [`gemm`] may give other bytes on another CPU.
//!
//! Sizes: T packed tokens, H hidden, A heads, I intermediate, V vocabulary, N target positions.

pub mod adamw;
pub mod attention;
pub mod attention_block;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
pub mod feed_forward_block;
pub mod gelu;
pub mod gemm;
pub mod layer_norm;
pub mod linear;
pub mod rows;
pub mod transform;
pub mod vector;

#[cfg(test)]
pub(crate) mod naive;

/// Which instructions the kernels resolve to on this machine, for the manifest: `f32 avx512`,
/// `f32 avx2`, … Models trained on different paths differ in the last bits.
pub fn path() -> &'static str {
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
