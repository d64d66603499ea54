//! The run folder: what stands in it, who may write into it, and how it is read back.
//!
//! [`names`] has its files and the models of a run. [`folder`] takes it for one process ([`lock`]) or for several;
//! [`manifest`] records what went in and what came out, [`done`] what became of a fold, [`stage_cost`] what its shared stages cost,
//! [`scores`] the tables of scores;
//! [`resume`] saves a fit and goes on with it; [`reopen`] gives a run that is done another submission. [`chosen`] finds the runs among named folders; [`record`] and [`results`]
//! read a folder back, of this version of the tool or of another. Does not train.

pub mod chosen;
pub mod done;
pub mod folder;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod record;
pub mod reopen;
pub mod results;
pub mod resume;
pub mod scores;
pub mod settings;
pub mod stage_cost;
