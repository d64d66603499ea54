//! A reader of files, as the fuzzing sees it: good files, and what reads them.

use std::path::Path;

use cipherpet::error::Result;
use cipherpet::progress::Progress;
use cipherpet::workbench::{Context, Stop};

use crate::input::Input;

/// What reads the files in a folder. It may write to `out` in it.
type Read = Box<dyn Fn(&Path) -> Result<()> + Send + Sync>;

pub struct Reader {
    pub name: &'static str,
    /// Damaged inputs in a round: by what they cost and by how much there is to get wrong.
    pub cases: u64,
    pub files: Vec<Input>,
    pub read: Read,
}

impl Reader {
    pub fn new(
        name: &'static str,
        cases: u64,
        files: Vec<Input>,
        read: impl Fn(&Path) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            cases,
            files,
            read: Box::new(read),
        }
    }
}

/// Does a long job that shows nothing and is never stopped.
pub fn silently<T>(job: impl FnOnce(Context<'_>) -> Result<T>) -> Result<T> {
    job(Context {
        progress: &Progress::silent(),
        stop: &Stop::default(),
        tensorboard: false,
    })
}
