//! A learning that was cut goes on: its weights after an epoch, in a file beside the codes.
//!
//! In: the epochs of a learning. Out: `CODES.checkpoint`, written after an epoch that ends a minute or more after the last one that was
//! saved, and when the work is to stop. The same command goes on from it, to the same bytes, and removes it at its end. One of another
//! input, of other options or of other kernels is refused; a damaged one counts for nothing.
//!
//! The file: a line of JSON ([`Head`]), then the weights, low byte first.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{Error, Place, Result};
use crate::hash::Hasher;
use crate::index::competitive::{Begun, Epoch};
use crate::kernels::path::Path as KernelPath;
use crate::progress::Task;
use crate::workbench::Context;
use crate::workbench::run_folder::manifest::TOOL;

/// Time between two checkpoints, at least.
const EVERY: Duration = Duration::from_secs(60);

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    /// `cipherpet` and its version.
    tool: String,
    /// How products are computed.
    kernel_path: String,
    /// Of all that the weights follow from: input, options and seed.
    learning_sha256: String,
    /// Passes that are done.
    done: usize,
    /// Of this head with nothing in this place, and of the weights.
    sha256: String,
}

impl Head {
    fn hash_with(&self, weights: &[u8]) -> Result<String> {
        let bare = Self {
            sha256: String::new(),
            ..self.clone()
        };
        let mut hasher = Hasher::default();
        hasher.update(&bare.to_json()?);
        hasher.update(weights);
        Ok(hasher.finish())
    }

    fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::Unexpected(format!("checkpoint as JSON: {error}")))
    }
}

/// A learning under way.
pub struct Course<'a> {
    path: PathBuf,
    /// That of every epoch, but for what changes.
    head: Head,
    n_epochs: usize,
    task: Task,
    context: Context<'a>,
    last_save: Instant,
    /// Mean length of the weights of a unit, once an epoch is over.
    pub mean_norm: Option<f64>,
}

impl<'a> Course<'a> {
    /// Begins or goes on with the learning whose codes go to `codes`. `learning_sha256` is of all that its weights follow from.
    ///
    /// # Errors
    /// [`Error::Input`] for a checkpoint of another learning; [`Error::Io`].
    pub fn open(
        codes: &Path,
        learning_sha256: String,
        n_epochs: usize,
        context: Context<'a>,
    ) -> Result<(Self, Option<Begun>)> {
        let mut path = codes.as_os_str().to_owned();
        path.push(".checkpoint");
        let path = PathBuf::from(path);
        let head = Head {
            tool: TOOL.to_owned(),
            kernel_path: KernelPath::F32.name().to_owned(),
            learning_sha256,
            done: 0,
            sha256: String::new(),
        };
        let begun = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            read => {
                let bytes = read.map_err(Error::io("read", &path))?;
                let begun = restored(&path, &bytes, &head)?;
                if begun.is_none() {
                    let path = path.display();
                    let line = format!("{path} is not as it was written: learning anew");
                    context.progress.say(&line);
                }
                begun
            }
        };
        let task = context.progress.task("learn", n_epochs as u64, "epochs");
        if let Some(begun) = &begun {
            task.say(&format!(
                "resuming after epoch {} of {n_epochs}",
                begun.done
            ));
            task.skip(begun.done as u64);
        }
        let course = Self {
            path,
            head,
            n_epochs,
            task,
            context,
            last_save: Instant::now(),
            mean_norm: None,
        };
        Ok((course, begun))
    }

    /// Shows how far the learning is, and saves it where that is due. After the last epoch there is little left to do, and nothing
    /// is saved.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the work is to stop and was saved; [`Error::Io`] where it was not.
    pub fn advance(&mut self, epoch: Epoch) -> Result<()> {
        self.mean_norm = Some(epoch.mean_norm);
        let note = format!("length of the weights {:.3}", epoch.mean_norm);
        self.task.note(note);
        self.task.advance(1);
        if epoch.done == self.n_epochs {
            return Ok(());
        }
        let stop = self.context.stop;
        stop.advanced();
        let is_stopping = stop.check().is_err();
        if !is_stopping && self.last_save.elapsed() < EVERY {
            return Ok(());
        }
        let saved = self.save(epoch);
        self.last_save = Instant::now();
        match saved {
            Ok(()) if is_stopping => Err(Error::Stopped {
                state: format!("{} holds what is needed to go on", self.path.display()),
            }),
            // A checkpoint is for bad days; on a good one the learning does without.
            Err(error @ Error::Io { .. }) if !is_stopping => {
                let line = format!("no checkpoint after epoch {}: {error}", epoch.done);
                self.task.say(&line);
                Ok(())
            }
            saved => saved,
        }
    }

    /// Removes the checkpoint: what was learnt is used and written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::io("remove", &self.path)),
        }
    }

    fn save(&self, epoch: Epoch) -> Result<()> {
        let weights = epoch.weights.iter().flat_map(|weight| weight.to_le_bytes());
        let weights: Vec<u8> = weights.collect();
        let mut head = Head {
            done: epoch.done,
            ..self.head.clone()
        };
        head.sha256 = head.hash_with(&weights)?;
        let json = head.to_json()?;
        atomic::write_with(&self.path, |out| {
            out.write_all(&json)?;
            out.write_all(b"\n")?;
            out.write_all(&weights)
        })
    }
}

/// What a file holds; none where it is damaged.
///
/// # Errors
/// [`Error::Input`] where it is of another learning than `here`.
fn restored(path: &Path, bytes: &[u8], here: &Head) -> Result<Option<Begun>> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return Ok(None);
    };
    let (head, weights) = (&bytes[..end], &bytes[end + 1..]);
    let Ok(head) = serde_json::from_slice::<Head>(head) else {
        return Ok(None);
    };
    if head.hash_with(weights)? != head.sha256 {
        return Ok(None);
    }
    let differing = [
        ("made by", &here.tool, &head.tool),
        ("with the kernels", &here.kernel_path, &head.kernel_path),
    ];
    for (what, here, there) in differing {
        if here != there {
            let (expected, found) = (format!("{what} `{here}`"), format!("{what} `{there}`"));
            return Err(of_another(path, &expected, &found));
        }
    }
    if head.learning_sha256 != here.learning_sha256 {
        let (expected, found) = (
            "of this input, these options and this seed",
            "one of others",
        );
        return Err(of_another(path, expected, found));
    }
    let (weights, _) = weights.as_chunks::<4>();
    Ok(Some(Begun {
        done: head.done,
        weights: weights
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    }))
}

fn of_another(path: &Path, expected: &str, found: &str) -> Error {
    let expected = format!("a checkpoint {expected}");
    let hint = "go on as it was begun, remove the file to learn anew, or give another --out";
    Error::input(Place::file(path), expected, found).with_hint(hint)
}
