//! Whole jobs: what a command does, from files to files.
//!
//! [`run`] is the main job, in and out of a run folder ([`run_folder`]), which goes on where it was cut, and whose results
//! [`ensemble`], [`board`] and [`pack`] read back; [`slurm`] is the same job for a cluster; [`predict`] scores more pairs
//! with what a run has left; [`submission`] writes and checks submissions; [`score`] notes what a leaderboard said. [`report`](mod@report) shows runs. [`count`] makes token counts, [`mod@align`] mappings ([`alignment`] is its way and that of [`run`]), [`audit`] says how reversible a masking is, [`cipher`] makes ciphers with
//! a key; [`inspect`] looks at a new
//! competition. Does not parse arguments and prints nothing: `cli` does.
//!
//! How to add a command: 1. its work as a file here, taking plain values and a [`Context`] and
//! returning a serialisable report; 2. a file of the same name in `cli/` with its arguments, an example
//! and a function that prints the report; 3. a variant in `cli/mod.rs`; 4. its snapshots in `tests/it`.

pub mod align;
pub mod alignment;
pub mod archive;
pub mod audit;
pub mod board;
pub mod cipher;
mod context;
pub mod count;
pub mod disk;
pub mod ensemble;
pub mod inspect;
pub mod machine;
pub mod number;
pub mod pack;
pub mod predict;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod score;
pub mod slurm;
pub mod stop;
pub mod submission;

pub use context::Context;
pub use stop::Stop;
