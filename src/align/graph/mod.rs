//! Graph alignment: which plaintext type each cipher type stands for, found from co-occurrence alone.
//!
//! In: counts of two sides ([`Side`]) by dense type numbers. Out: candidates with confidence for each cipher type, and
//! what is known of their quality without a key ([`Solution`]). Knows no files, vocabularies or tokenisers.

mod assignment;
mod cooccurrence;
mod faq;
mod flatten;
mod likelihood;
mod matrix;
mod options;
mod quality;
mod search;
mod self_learning;
mod solution;
mod solve;
mod start;

pub use assignment::{weighed, weight};
pub use cooccurrence::{Cooccurrence, Side};
pub use options::{Effort, GraphOptions};
pub use self_learning::best;
pub use solution::{Band, Candidate, Match, Quality, Solution};
pub use solve::solve;

#[cfg(test)]
mod tests;
