//! The run folder: who may write into it, and what becomes of it.
//!
//! A folder that is not there, or is empty, is taken. One that holds the same run (same config, same inputs)
//! is the result where that is done; where not, it goes on if it has a checkpoint and is begun anew if it has none.
//! Inputs are compared by content, so that a folder that was moved, or came from someone else, is still that run.
//! Any other is refused with the first difference. A run that fails before [`RunFolder::begin`] leaves no trace.
//!
//! A run of one model owns its folder while it fills it ([`RunFolder::open`]); that of folds shares it with other processes
//! ([`RunFolder::shared`]). Does not train, and does not know how many models a run has.

use std::path::{Path, PathBuf};

use super::lock::{self, Lock, Owner};
use super::manifest::{FileRecord, Identity, Manifest, Outcome, State};
use super::names::{
    CONFIG, LOG, MANIFEST, MAPPING, METRICS, MODEL, ModelName, OOF, OUTPUTS, REWRITTEN, SUBMISSION,
    SUBMISSION_JSON, SUBMISSION_ZIP, TEST, VALID, sorted_names,
};
use super::resume;
use crate::align::GraphReport;
use crate::atomic;
use crate::config::{self, Experiment, Settings};
use crate::data::Task;
use crate::error::{Error, Result};
use crate::hash::sha256;

/// What was found at the place of the run.
pub enum Opened {
    /// The same run, done.
    Done(Outcome),
    /// The same run, trained, with scores or a submission by other settings, or with none; see [`Standing::Outdated`].
    Outdated,
    /// A folder that is ours to fill.
    Ready(Box<RunFolder>),
}

/// A folder that this process fills.
pub struct RunFolder {
    path: PathBuf,
    manifest: Manifest,
    kept: bool,
    /// None where the folder is shared.
    lock: Option<Lock>,
}

/// What every model of a run starts from.
pub struct Beginning<'a> {
    /// `mapping.tsv`, whole.
    pub mapping: &'a [u8],
    /// Cipher ids that share a plaintext row, as they lie beyond the last counted plaintext token.
    pub wrapped_ids: usize,
    /// What is known of the mapping without a key.
    pub quality: Option<&'a GraphReport>,
}

impl RunFolder {
    /// Takes the folder at `path` for this run, with `config.toml` and a manifest that says `begun` in it.
    ///
    /// # Errors
    /// [`Error::Refused`] where the folder is in use: by another run at work, by a run of other config or
    /// inputs (the first difference is named), or by files that are no run. [`Error::Io`].
    pub fn open(path: &Path, experiment: &Experiment, identity: Identity) -> Result<Opened> {
        match look(path, experiment, &identity)? {
            Standing::Done(outcome) => {
                tidy_up(path);
                return Ok(Opened::Done(outcome));
            }
            Standing::Outdated { .. } => return Ok(Opened::Outdated),
            Standing::Free => {}
        }
        std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let lock = Lock::take(path)?;
        // Another process may have done the run in the meantime.
        match look(path, experiment, &identity)? {
            Standing::Done(outcome) => return Ok(Opened::Done(outcome)),
            Standing::Outdated { .. } => return Ok(Opened::Outdated),
            Standing::Free => {}
        }
        let mut manifest = Manifest::begin(identity, experiment);
        let kept = resume::is_resumable(path);
        if kept && let Some(before) = Manifest::read(path)? {
            manifest.alignment = before.alignment; // its mapping stays too
            manifest.mapping_sha256 = before.mapping_sha256;
        }
        let folder = Self {
            path: path.to_owned(),
            manifest,
            kept,
            lock: Some(lock),
        };
        clear(path)?;
        // The manifest first: without it the folder would be taken for somebody else's.
        folder.manifest.write(path)?;
        atomic::write(&folder.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        Ok(Opened::Ready(Box::new(folder)))
    }

    /// The folder at `path` for this run, which other processes may fill too. Nothing is written yet; whether the folder is
    /// this run's is for [`look`] to say.
    pub fn shared(path: &Path, experiment: &Experiment, identity: Identity) -> Self {
        Self {
            path: path.to_owned(),
            manifest: Manifest::begin(identity, experiment),
            kept: true,
            lock: None,
        }
    }

    /// Whether this process alone fills it.
    pub fn is_own(&self) -> bool {
        self.lock.is_some()
    }

    /// Who was at work in the folder before, and was killed.
    pub fn left_by(&self) -> Option<&Owner> {
        self.lock.as_ref().and_then(Lock::left_by)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Records what every model starts from, and writes the mapping. From here on the folder stays, whatever happens, and
    /// whoever goes on with this run takes up the alignment. Of processes that share the folder the first one's record stays.
    ///
    /// # Errors
    /// [`Error::Refused`] where the run has begun with another mapping; [`Error::Io`].
    pub fn begin(
        &mut self,
        experiment: &Experiment,
        task: &Task,
        beginning: &Beginning<'_>,
    ) -> Result<()> {
        self.kept = true;
        let sha256 = sha256(beginning.mapping);
        let before = self.manifest.mapping_sha256.replace(sha256);
        self.manifest.task = task.clone();
        self.manifest.wrapped_ids = beginning.wrapped_ids;
        self.manifest.alignment = beginning.quality.cloned().map(Box::new);
        // The manifest first: without it the folder would be taken for somebody else's. A mapping that a kill has kept from
        // following it is made again.
        if self.is_own() {
            self.require_same_mapping(before)?;
            self.manifest.write(&self.path)?;
        } else {
            std::fs::create_dir_all(&self.path).map_err(Error::io("create", &self.path))?;
            self.manifest.write_new(&self.path)?;
            if let Some(found) = Manifest::read(&self.path)? {
                // Another process may have been first.
                require_same_predict(&self.path, experiment, &found)?;
                self.require_same_mapping(found.mapping_sha256)?;
            }
            atomic::write(&self.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        }
        atomic::write(&self.join(MAPPING), beginning.mapping)
    }

    /// Models of one run start from one mapping. Another processor may align a little differently.
    fn require_same_mapping(&self, recorded: Option<String>) -> Result<()> {
        if recorded.is_none() || recorded == self.manifest.mapping_sha256 {
            return Ok(());
        }
        let path = self.path.display();
        let message = format!("{path} was begun with another {MAPPING} than this machine makes");
        Err(Error::refused(message).with_hint(format!(
            "go on on the machine that began it; or, where {MAPPING} is there now, run the same command again"
        )))
    }

    /// Refuses to go on where the file of `key`, which is read again at the end, is no longer the one that the run began with.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Io`].
    pub fn require_same_input(&self, key: &str) -> Result<()> {
        let inputs = self.manifest.identity.inputs.iter();
        for input in inputs.filter(|input| input.key == key) {
            if !FileRecord::of(key, &input.path, &input.path)?.has_content_of(input) {
                let message = format!("{} has changed since the run began", input.path.display());
                let hint = "put the file back and run the same command again; or begin a new run";
                return Err(Error::refused(message).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Records every output, of the run and of its `models`, and the outcome. The run is done when this returns.
    ///
    /// # Errors
    /// [`Error::Refused`] where the manifest of a shared folder is gone; [`Error::Io`].
    pub fn finish(
        mut self,
        experiment: &Experiment,
        models: &[ModelName],
        outcome: Outcome,
    ) -> Result<()> {
        if !self.is_own() {
            let manifest = Manifest::read(&self.path)?;
            let manifest = manifest.ok_or_else(|| {
                let message = format!("{} has lost its manifest", self.path.display());
                Error::refused(message).with_hint("run the same command again")
            })?;
            // Who merges writes the submission: it is that of this process.
            let identity = std::mem::replace(&mut self.manifest, manifest).identity;
            self.manifest.identity = identity;
            atomic::write(&self.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        }
        close(&self.path, self.manifest.clone(), models, outcome)?;
        resume::forget(&self.path)
    }
}

/// Records every output in the run `path`, of the run and of its `models`, and the outcome. The run is done when this returns.
pub(super) fn close(
    path: &Path,
    mut manifest: Manifest,
    models: &[ModelName],
    outcome: Outcome,
) -> Result<()> {
    manifest.outputs = output_records(path, Path::new(""))?;
    for model in models.iter().filter(|&&model| model != ModelName::Single) {
        let inner = output_records(path, Path::new(&model.folder_name()))?;
        manifest.outputs.extend(inner);
    }
    manifest.state = State::Done;
    manifest.result = Some(outcome);
    manifest.write(path)
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        drop(self.lock.take()); // its file stands in the folder
        if !self.kept {
            // Nothing can be done about a file that cannot be removed, and the run's own error matters more.
            let _ = remove_outputs(&self.path);
            let _ = std::fs::remove_file(self.join(MANIFEST));
            let _ = std::fs::remove_dir(&self.path); // stays where the user has put something into it
        }
    }
}

/// Removes what a process has left in the folder of a run or fold that was killed after that was done.
pub fn tidy_up(path: &Path) {
    if path.join(lock::FILE).exists()
        && let Ok(_lock) = Lock::take(path)
    {
        let _ = resume::forget(path); // nobody needs it, and nobody is harmed by it
    }
}

/// What stands at the place of a run.
#[derive(Debug, PartialEq)]
pub enum Standing {
    /// Nothing, or the run that was cut: the folder is there to be filled.
    Free,
    /// The run, done.
    Done(Outcome),
    /// The run, trained, with a submission by another `[submit]`, or one that was lost.
    Outdated {
        /// The scores are by another `[predict]`, or were being made when that was cut.
        has_other_scores: bool,
        /// What has become of files of the submission, a line each.
        lost: Vec<String>,
    },
}

/// What stands in the folder at `path`.
///
/// # Errors
/// [`Error::Refused`] where the folder holds another run (the first difference is named), is no run, has lost what a run
/// that is done is used for, or is under way with another `[predict]`; [`Error::Io`].
pub fn look(path: &Path, experiment: &Experiment, identity: &Identity) -> Result<Standing> {
    require_no_file(path)?;
    let mut found = Manifest::read(path)?;
    if found.is_none() {
        let empty = require_empty(path);
        found = Manifest::read(path)?; // another process may have begun the same run just now
        if found.is_none() {
            return empty.map(|()| Standing::Free);
        }
    }
    let Some(found) = found else {
        return Ok(Standing::Free);
    };
    require_same(path, experiment, identity, &found)?;
    if found.state == State::Begun {
        require_same_predict(path, experiment, &found)?;
        return Ok(Standing::Free);
    }
    let lost = require_outputs(path, &found)?;
    let has_other_scores = found.predict.as_ref() != Some(&experiment.predict);
    let has_submission =
        found.state == State::Done && found.identity.submit_sha256 == identity.submit_sha256;
    Ok(match found.result {
        Some(outcome) if has_submission && !has_other_scores && lost.is_empty() => {
            Standing::Done(outcome)
        }
        _ => Standing::Outdated {
            has_other_scores,
            lost,
        },
    })
}

/// Refuses a file in the place of a folder to fill.
///
/// # Errors
/// [`Error::Refused`].
pub fn require_no_file(path: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let message = format!("{} is a file, and no folder", path.display());
    Err(Error::refused(message)
        .with_hint("--out names the folder to fill: choose one that is not there yet"))
}

/// Refuses to go on with another `[predict]`: the epochs of a model, and the folds of a run, are compared by their scores.
fn require_same_predict(path: &Path, experiment: &Experiment, found: &Manifest) -> Result<()> {
    let (here, Some(there)) = (&experiment.predict, &found.predict) else {
        return Ok(());
    };
    if here == there {
        return Ok(());
    }
    let message = format!(
        "the run in {} was begun with predict.swap = {}, not {}",
        path.display(),
        there.swap,
        here.swap
    );
    Err(Error::refused(message).with_hint(
        "end the run as it was begun; then this command scores the rows again, without training",
    ))
}

/// Refuses a run whose model or mapping is gone, or of which a table is not what was written: to say that it is done would be no
/// help. Tables may be gone, since packs leave them out; logs are for people. While scores or submission are written anew, they
/// may be of either form. A submission is made of the scores: one that is gone or was changed is told, a line a file.
fn require_outputs(path: &Path, found: &Manifest) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    for output in &found.outputs {
        let is_named = |names: &[&str]| names.iter().any(|name| output.path.ends_with(name));
        let at = path.join(&output.path);
        let is_missed = at.exists() || !is_named(&[VALID, TEST, OOF]);
        let is_under_way = found.state == State::Reopened && is_named(&REWRITTEN);
        if is_named(&[LOG, METRICS]) || is_under_way || !is_missed || output.is_as_written(path)? {
            continue;
        }
        let is_submission = is_named(&[SUBMISSION, SUBMISSION_ZIP, SUBMISSION_JSON]);
        let found = match at.exists() {
            true => "is not the file that the run has written",
            false if is_submission => "is gone",
            false => "is gone, and the run is done",
        };
        let message = format!("{} {found}", at.display());
        if is_submission {
            lost.push(message);
            continue;
        }
        let hint = format!("remove {} to run it again", path.display());
        return Err(Error::refused(message).with_hint(hint));
    }
    Ok(lost)
}

/// Makes the folder of a run or fold ready to be filled: removes what a process was writing when it was killed and, where
/// there is nothing to go on from, everything that was written before. The caller holds the lock.
///
/// # Errors
/// [`Error::Io`].
pub fn clear(folder: &Path) -> Result<()> {
    atomic::remove_unfinished(folder)?;
    atomic::remove_unfinished(&folder.join(MODEL))?;
    match resume::is_resumable(folder) {
        true => Ok(()),
        false => remove_outputs(folder),
    }
}

/// Removes what a run or a fold has written into its folder; what is not ours stays.
fn remove_outputs(folder: &Path) -> Result<()> {
    for name in OUTPUTS {
        let path = folder.join(name);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else if path.exists() {
            std::fs::remove_file(&path)
        } else {
            Ok(())
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// Every output in `inner` (a folder inside `run`, or the run itself), hashed.
pub fn output_records(run: &Path, inner: &Path) -> Result<Vec<FileRecord>> {
    let mut records = Vec::new();
    for name in OUTPUTS {
        let name = inner.join(name);
        let path = run.join(&name);
        if path.is_dir() {
            for file in sorted_names(&path)? {
                let name = name.join(file);
                if run.join(&name).is_dir() {
                    continue; // not ours: a notebook has looked at a file
                }
                records.push(FileRecord::of("output", &run.join(&name), &name)?);
            }
        } else if path.exists() {
            records.push(FileRecord::of("output", &path, &name)?);
        }
    }
    Ok(records)
}

/// Refuses a folder that is there and holds anything.
///
/// # Errors
/// [`Error::Refused`], [`Error::Io`].
pub fn require_empty(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    require_no_file(path)?;
    let names = sorted_names(path)?;
    // A process that was killed early has left these, or a notebook that has looked into the folder.
    let is_nothing = |name: &std::ffi::OsString| {
        name == lock::FILE || name == ".ipynb_checkpoints" || atomic::is_unfinished(name)
    };
    if names.iter().all(is_nothing) {
        return Ok(());
    }
    let message = format!("{} is not empty and is no run of cipherpet", path.display());
    Err(Error::refused(message).with_hint("choose another folder with --out"))
}

/// Refuses where the folder holds a run of another config or of other inputs.
fn require_same(
    path: &Path,
    experiment: &Experiment,
    identity: &Identity,
    found: &Manifest,
) -> Result<()> {
    if identity.is_same(&found.identity) {
        return Ok(());
    }
    let hint = "choose another folder with --out, or remove this one";
    let (here, there) = (
        identity.inputs_of_models(),
        found.identity.inputs_of_models(),
    );
    let difference = match differing_key(path, experiment)? {
        Some(difference) => difference,
        None => differing_input(&here, &there).unwrap_or_else(|| "its config differs".to_owned()),
    };
    let message = format!("{} holds another run: {difference}", path.display());
    Err(Error::refused(message).with_hint(hint))
}

/// The first setting in which the config of the folder differs, and how: ``seed` is 1 there, 2 here`.
fn differing_key(path: &Path, experiment: &Experiment) -> Result<Option<String>> {
    let Ok(there) = config::load(Some(&path.join(CONFIG)), &[]) else {
        return Ok(None); // gone, or of another version
    };
    let differing = experiment.first_difference(&there.experiment)?;
    Ok(differing.map(|differing| differing.to_string()))
}

/// The first input of other content.
pub fn differing_input(here: &[&FileRecord], there: &[&FileRecord]) -> Option<String> {
    let mut pairs = here.iter().zip(there);
    Some(
        match pairs.find(|(here, there)| !here.has_content_of(there)) {
            Some((here, there)) if here.key != there.key => format!(
                "`{}` reads {} here, and `{}` read {} there",
                here.key,
                here.path.display(),
                there.key,
                there.path.display()
            ),
            Some((here, there)) if here.path == there.path => {
                format!("{} has changed since", here.path.display())
            }
            Some((here, there)) => format!(
                "`{}` reads {} here, which differs from {} there",
                here.key,
                here.path.display(),
                there.path.display()
            ),
            None => match (here.get(there.len()), there.get(here.len())) {
                (Some(more), _) => format!("`{}` reads {} here too", more.key, more.path.display()),
                (_, Some(more)) => format!("`{}` read {} there too", more.key, more.path.display()),
                (None, None) => return None,
            },
        },
    )
}

#[cfg(test)]
mod tests;
