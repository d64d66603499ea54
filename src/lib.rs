//! The workbench for text competitions on desensitised data.
//!
//! Competitions publish sentences or pairs of them whose every character or word is replaced by a number. The crate
//! aligns those numbers with the vocabulary of a pretrained BERT, starts each number from its plaintext token's
//! embedding, and trains one network for everything: masked tokens at their places, the label at `[CLS]`. Rows
//! without a label join the MLM. The command `cipherpet` does whole jobs; everything it does is here too.
//!
//! # The way of the data
//! ```text
//!  pairs.tsv ──► data ──► vocab (count) ──┐
//!  corpus ──────────────► vocab (count) ──┤ align ──► remap ──► model ──┐
//!  BERT folder ─────────────────────────────► checkpoint ───▲           ▼
//!  folds ──► packed, corrupted batches ──────────► objective(model) ──► train ──► scores ──► submission
//! ```
//!
//! # Code map
//! A module uses only what stands before it, and files use each other in no circle (`tests/it/tidy.rs` fails on an arrow back and
//! on a circle):
//!
//! | module | what lives there | what does not |
//! |---|---|---|
//! | [`error`], [`atomic`], [`hash`], [`random`], [`progress`] | errors with place and hint, whole-file writes, SHA-256, keyed random streams, bars and lines | |
//! | [`data`] | tasks, examples and their targets, readers, truncation, splits and folds, packed batches, masks and what they learn from the rows ([`data::masking`]), near-duplicate sentences ([`data::near`]) and what hangs together by them ([`data::duplicates`]) | tensors |
//! | [`metrics`] | one table of metrics: name, direction, labels it is for, source | files |
//! | [`vocab`] | counting both sides, units of text, the cipher vocabulary, ciphers of one's own, `mapping.tsv` | dfdx, training |
//! | [`checkpoint`] | Hugging Face folders in and out, the table of names, remap, more positions | model maths |
//! | [`kernels`] | the network's arithmetic on slices, forward and backward, in f32 or bf16 ([`kernels::path`]); naive twins in the tests | dfdx, files, config |
//! | [`model`] | BERT on packed rows: parameters with their gradients; [`model::ops`] is the only meeting of dfdx and kernels | files, losses |
//! | [`align`](mod@align) | which plaintext row each cipher id starts from: rank, random, scratch, a file, a graph; refinement by the network; quality without a key | training |
//! | [`objective`] | one file an objective: batch in, loss and scores out | files, folds |
//! | [`train`] | the loop, AdamW, schedule, kinds of step ([`train::step`]: FGM, PGD, R-Drop, …), averages of weights ([`train::average`]), prediction, checkpoints ([`train::resume`]) | config files, printing |
//! | [`generate`] | sentences that a network writes behind a source: the loop, the draw of a token ([`generate::sampling`]), the nearest ones ([`generate::rank`]) | files, arithmetic |
//! | [`index`] | nearest neighbours among vectors or sets of ids, behind one interface | where the vectors come from |
//! | [`config`] | the experiment file: default < preset < file < `[grid]` < `--set`; that of a pretraining | work |
//! | [`workbench`] | one folder a concern: [`workbench::run`] (a plan of models; a single split is a plan of one), [`workbench::run_folder`] (names, lock, manifest, resume, reading back), [`workbench::pretrain`](mod@workbench::pretrain) (a BERT from plain lines), submission, ensemble, report, inspection; [`workbench::zero_shot`](mod@workbench::zero_shot) (scores without training); one file a short job: board, packs, Slurm scripts, duplicates, alignment and audit apart from runs | clap |
//! | [`cli`] | clap types, one file a command, the only place that prints | logic |
//!
//! # What always holds
//! - The same config, data and seed give the same bytes on any number of threads: random numbers are functions of a
//!   [`random::Key`], and no sum depends on how work was split. Another instruction set may give other last bits;
//!   the manifest names it ([`kernels::path`]).
//!   That holds for the same rows in the same order. The last digits of a row's score depend on the rows that are scored
//!   with it (by up to 7e-9 in a probability, as measured): `predict --one-by-one`, or a test file in another order, may
//!   differ there.
//! - A run that was cut, at any moment, ends with the bytes of one that was not.
//! - Another `[submit]` or `[predict]` is the same run: it writes submission and scores anew and never trains.
//! - Rows are packed end to end, never padded. What nobody reads is not computed: the MLM head and all of the last layer
//!   but its keys and values run at target positions only.
//! - `unsafe` and `asm!` stand under [`kernels`] alone, each with its argument.
//! - [`data::CipherId`], [`vocab::PlainId`] and rows of the run's vocabulary (`u32`, reserved rows in
//!   [`data::reserved`]) are three different things; a mix-up of the first two does not compile.
//! - Files are there whole or not at all ([`atomic`]). Input errors name file, line and field.
//! - No command writes decoded sentences.

#![deny(unsafe_code)]

pub mod align;
pub mod atomic;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod generate;
pub mod hash;
pub mod index;
#[expect(
    unsafe_code,
    reason = "instructions that the compiler does not choose by itself"
)]
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod objective;
pub mod progress;
pub mod random;
pub mod train;
pub mod vocab;
pub mod workbench;
