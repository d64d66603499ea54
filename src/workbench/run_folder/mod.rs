//! The run folder: what stands in it, who may write into it, and how it is read back.
//!
//! [`folder`] names its files and takes it for one process ([`lock`]); [`manifest`] records what went in and what came
//! out, [`done`] what became of a fold, [`scores`] the tables of scores; [`resume`] saves a fit and goes on with it;
//! [`results`] reads a folder back. Does not train.

pub mod done;
pub mod folder;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod results;
pub mod resume;
pub mod scores;
