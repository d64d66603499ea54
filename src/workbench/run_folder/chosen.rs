//! The runs among the folders that a user has named, `runs/*` among others.
//!
//! In: paths as they were typed. Out: the same without folders that lie beside runs and are none by their place: those of shared
//! stages. Whether the others are runs, who reads them says.

use std::path::{Path, PathBuf};

use super::names::{MANIFEST, SHARED_STAGES};
use crate::progress::Progress;

/// Digits of a stage's folder name.
const HASH_DIGITS: usize = 16;

/// The `paths` without folders of shared stages, each of which is said. One that is named alone stays, and so do all where there
/// is nothing else: whoever names them means them.
pub fn without_stages(paths: &[PathBuf], progress: &Progress) -> Vec<PathBuf> {
    let (stages, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        paths.iter().partition(|path| holds_stages(path));
    if others.is_empty() {
        return paths.to_vec();
    }
    for path in stages {
        progress.say(&format!(
            "{} is passed over: it holds stages that runs share",
            path.display()
        ));
    }
    others.into_iter().cloned().collect()
}

/// Whether it is named as the folder of shared stages, has one, and is no run.
fn holds_stages(path: &Path) -> bool {
    let is_hash = |name: &str| {
        name.len() == HASH_DIGITS && name.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    let has_stage = || {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.any(|name| is_hash(&name))
    };
    path.file_name().is_some_and(|name| name == SHARED_STAGES)
        && !path.join(MANIFEST).exists()
        && has_stage()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_among_runs_are_passed_over_and_said() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| folder.path().join(name);
        let hash = "0123456789abcdef";
        for name in ["a", "stages", "other/stages", "third/stages"] {
            std::fs::create_dir_all(path(name)).expect("a folder");
        }
        for name in ["a", "stages", "third/stages"] {
            std::fs::create_dir(path(name).join(hash)).expect("a folder");
        }
        std::fs::write(path("third/stages").join(MANIFEST), "{}").expect("a small file");
        let log = path("log");
        let kept = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
            let progress = Progress::silent().logging_to(&log).expect("a log");
            without_stages(&paths, &progress)
        };
        // Another name, none in it, and a run that is called so.
        let runs = ["a", "other/stages", "third/stages", "absent"];
        assert_eq!(kept(&runs), runs.map(path));
        assert_eq!(kept(&["stages"]), [path("stages")]);
        assert_eq!(std::fs::read_to_string(&log).expect("a log"), "");
        assert_eq!(kept(&["a", "stages", "absent"]), ["a", "absent"].map(path));
        let said = std::fs::read_to_string(&log).expect("a log");
        let end = "stages is passed over: it holds stages that runs share\n";
        assert!(said.ends_with(end) && said.lines().count() == 1, "{said}");
    }
}
