//! The workbench for text competitions on desensitised data.
//!
//! # Code map
//! The way of the data, left to right; a module uses only what stands before it (a test says so):
//! `error · atomic · metrics · random · progress` ← `data` ← `vocab` ← `checkpoint` ← `kernels` ← `model` ←
//! `objective` ← `train` ← `config` ← `workbench` ← `cli`.

pub mod atomic;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod objective;
pub mod progress;
pub mod random;
pub mod train;
pub mod vocab;
pub mod workbench;
