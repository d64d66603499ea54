//! How files are read where no setting says it.
//!
//! In: files of one task, and settings. Out: which columns are texts and labels ([`task_guess`]), and why; or a refusal that
//! names the key that decides. What a setting says stands. Does not read examples.

pub mod task_guess;
