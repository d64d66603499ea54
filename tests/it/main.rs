//! The command as its users meet it: one binary, a fresh folder a test, snapshots of exit status, stdout and stderr.
//!
//! Snapshots stand in `snapshots/`. After a change that is meant: `INSTA_UPDATE=always cargo test --test it`, and read the diff.

mod align;
mod augment;
mod bad_folds;
mod bad_input;
mod batch;
mod board;
#[path = "../browser/mod.rs"]
mod browser;
mod check;
mod checkpoint;
mod cipher;
mod count;
#[path = "../demo/mod.rs"]
mod demo;
mod distill;
mod duplicates;
mod embed;
mod ensemble;
mod ensemble_labels;
mod folder;
mod folds;
mod generate;
mod golden;
mod golden_albert;
mod golden_metrics;
mod golden_positions;
mod hand_made;
mod hash;
mod help;
mod inspect;
mod kill;
mod language;
mod masks;
mod notebook;
mod objective;
mod pack;
mod predict;
mod pretrain;
mod process;
mod python;
mod reading;
mod report;
mod resume;
mod run;
mod search;
mod settings;
mod shared;
mod signals;
mod simbert;
mod skipped;
mod slurm;
mod slurm_cluster;
mod stages;
mod steps;
mod submit;
mod tasks;
mod tidy;
mod two_merges;
mod warnings;
mod wheel;
mod workspace;
mod zero_shot;
