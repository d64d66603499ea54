//! The folder of a pretraining: `pretraining.json` with all that went in, and who may write there.
//!
//! A folder that is not there, or is empty, is taken. One that holds the same pretraining (same settings, same content of the
//! inputs) is the result where that is done, and goes on where not; any other is refused with the first difference. A
//! pretraining that fails before [`PretrainFolder::begin`] leaves no trace. Does not train.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PretrainOutcome;
use crate::atomic;
use crate::config::{self, Pretraining, Settings};
use crate::error::{Error, Place, Result};
use crate::hash::sha256;
use crate::kernels;
use crate::vocab::lines::TextSource;
use crate::workbench::machine;
use crate::workbench::run_folder::lock::{Lock, Owner};
use crate::workbench::run_folder::manifest::{FileRecord, State, TOOL};
use crate::workbench::run_folder::names::{CHANGED_HINT, CONFIG, LOG, METRICS, PRETRAINING};
use crate::workbench::run_folder::{folder, resume};

/// What a pretraining is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of the settings and the inputs.
    pub config_sha256: String,
    /// Every file that is read, in the order of the keys.
    pub inputs: Vec<FileRecord>,
}

/// `pretraining.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `cipherpet` and its version.
    pub tool: String,
    /// How far it is.
    pub state: State,
    /// What it is known by.
    #[serde(flatten)]
    pub identity: Identity,
    /// The texts that were read, with their lines: `text.files`, then `text.dialogues`.
    pub texts: Vec<TextSource>,
    /// Root of all random streams.
    pub seed: u64,
    /// Threads of the process that began it.
    pub threads: usize,
    /// How products are computed.
    pub kernel_path: String,
    /// Of the machine that began it.
    pub cpu: String,
    /// Every file that was written, once it is done.
    pub outputs: Vec<FileRecord>,
    /// What came of it, once it is done.
    pub result: Option<PretrainOutcome>,
}

/// What stands in a folder.
pub enum Opened {
    /// This pretraining, done.
    Done(PretrainOutcome),
    /// A folder to do it in.
    Ready(Box<PretrainFolder>),
}

/// The folder of a pretraining under way.
pub struct PretrainFolder {
    path: PathBuf,
    record: Record,
    /// Whether it stays if this process fails.
    kept: bool,
    lock: Option<Lock>,
}

impl Identity {
    /// Hashes every input.
    ///
    /// # Errors
    /// [`Error::Io`] where one cannot be read.
    pub fn of(settings: &Pretraining) -> Result<Self> {
        let inputs = settings.inputs();
        let inputs = inputs
            .iter()
            .map(|(key, path)| FileRecord::of(key, path, path));
        let inputs: Vec<FileRecord> = inputs.collect::<Result<_>>()?;
        let lines = inputs
            .iter()
            .map(|input| format!("\n{} {}", input.key, input.sha256));
        let text = settings.sha256()? + &lines.collect::<String>();
        Ok(Self {
            config_sha256: sha256(text),
            inputs,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.config_sha256 == other.config_sha256
    }
}

impl Record {
    /// That of a folder; none where there is none.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Input`] where it is not such a record.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(PRETRAINING);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::io("read", &path))?,
        };
        let record = serde_json::from_slice(&text).map_err(|error| {
            let place = Place::line(&path, error.line() as u64);
            Error::input(place, "the record of a pretraining", error).with_hint(CHANGED_HINT)
        })?;
        Ok(Some(record))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Unexpected(format!("record as JSON: {error}")))?;
        atomic::write(&folder.join(PRETRAINING), (text + "\n").as_bytes())
    }
}

impl PretrainFolder {
    /// Takes `path`, with its lock, or finds the pretraining done.
    ///
    /// # Errors
    /// [`Error::Refused`] where it holds anything else, where its files have changed and where another process is at work in
    /// it; [`Error::Io`].
    pub fn open(path: &Path, settings: &Pretraining, identity: Identity) -> Result<Opened> {
        if let Some(outcome) = look(path, settings, &identity)? {
            folder::tidy_up(path);
            return Ok(Opened::Done(outcome));
        }
        std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let lock = Lock::take(path)?;
        // Another process may have done it in the meantime.
        if let Some(outcome) = look(path, settings, &identity)? {
            return Ok(Opened::Done(outcome));
        }
        let record = Record {
            tool: TOOL.to_owned(),
            state: State::Begun,
            identity,
            texts: Vec::new(),
            seed: settings.seed,
            threads: rayon::current_num_threads(),
            kernel_path: kernels::path::Path::resolve(settings.train.precision)
                .name()
                .to_owned(),
            cpu: machine::cpu(),
            outputs: Vec::new(),
            result: None,
        };
        let opened = Self {
            path: path.to_owned(),
            record,
            kept: resume::is_resumable(path),
            lock: Some(lock),
        };
        folder::clear(path)?;
        // The record first: without it the folder would be taken for somebody else's.
        opened.record.write(path)?;
        atomic::write(&path.join(CONFIG), settings.to_toml()?.as_bytes())?;
        Ok(Opened::Ready(Box::new(opened)))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process that died with the lock.
    pub fn left_by(&self) -> Option<&Owner> {
        self.lock.as_ref().and_then(Lock::left_by)
    }

    /// From now on the folder stays, whatever happens.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&mut self, texts: &[TextSource]) -> Result<()> {
        self.kept = true;
        self.record.texts = texts.to_vec();
        self.record.write(&self.path)
    }

    /// Records the pretraining as done and removes its checkpoints.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self, outcome: PretrainOutcome) -> Result<()> {
        self.record.outputs = folder::output_records(&self.path, Path::new(""))?;
        self.record.state = State::Done;
        self.record.result = Some(outcome);
        self.record.write(&self.path)?;
        resume::forget(&self.path)
    }
}

impl Drop for PretrainFolder {
    fn drop(&mut self) {
        drop(self.lock.take()); // its file stands in the folder
        if !self.kept {
            // Nothing can be done about a file that cannot be removed, and the error of the job matters more.
            for name in [PRETRAINING, CONFIG, LOG] {
                let _ = std::fs::remove_file(self.path.join(name));
            }
            let _ = std::fs::remove_dir(&self.path); // stays where the user has put something into it
        }
    }
}

/// What came of this pretraining in `path`; none where it is to be done there.
fn look(
    path: &Path,
    settings: &Pretraining,
    identity: &Identity,
) -> Result<Option<PretrainOutcome>> {
    folder::require_no_file(path)?;
    let Some(found) = Record::read(path)? else {
        return folder::require_empty(path).map(|()| None);
    };
    if !identity.is_same(&found.identity) {
        let difference = difference(path, settings, (identity, &found.identity))?;
        let path = path.display();
        let message = format!("{path} holds another pretraining: {difference}");
        return Err(Error::refused(message)
            .with_hint("choose another folder with --out, or remove this one"));
    }
    let Some(outcome) = found.result else {
        return Ok(None);
    };
    let is_told = |output: &&FileRecord| ![LOG, METRICS].map(Path::new).contains(&&*output.path);
    for output in found.outputs.iter().filter(is_told) {
        if !output.is_as_written(path)? {
            let at = path.join(&output.path);
            let message = format!("{} is not the file that was written there", at.display());
            let hint = format!("remove {} to do it again", path.display());
            return Err(Error::refused(message).with_hint(hint));
        }
    }
    Ok(Some(outcome))
}

/// The first setting, or else the first file, in which this pretraining differs from the one in `path`.
fn difference(
    path: &Path,
    settings: &Pretraining,
    (here, there): (&Identity, &Identity),
) -> Result<String> {
    // Gone, or of another version: then the inputs tell.
    if let Ok(there) = config::load_as::<Pretraining>(Some(&path.join(CONFIG)), &[])
        && let Some(difference) = settings.first_difference_of(&there.experiment, &|_| true)?
    {
        return Ok(difference.to_string());
    }
    let (here, there): (Vec<_>, Vec<_>) =
        (here.inputs.iter().collect(), there.inputs.iter().collect());
    let differing = folder::differing_input(&here, &there);
    Ok(differing.unwrap_or_else(|| "its settings differ".to_owned()))
}
