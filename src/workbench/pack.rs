//! A run to hand over: one zip with what a teammate needs to score more pairs and to run it again.
//!
//! In: the folder of a run that is done. Out: `config.toml`, the manifest, the mapping, the models, the submission
//! with its record, and a README. No data: neither the files of `[data]` nor, unless they are asked for, the tables
//! of scores that repeat its labels. Only files that the manifest knows go in, and each is compared with its hash first, so
//! that nothing travels which a user, or a link, has put among them. The same run gives the same bytes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Stop;
use super::archive::{self, Content};
use super::run_folder::names::{self, sorted_names};
use super::run_folder::results::Results;
use crate::config::Experiment;
use crate::data::source;
use crate::error::{Error, Result};

/// What was packed; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackReport {
    /// The zip.
    pub pack: PathBuf,
    /// The folder inside it.
    pub folder: String,
    /// Its files.
    pub files: usize,
    /// Size of the zip.
    pub bytes: u64,
}

/// Packs the run into `out`; `scores` adds the tables of scores, which hold labels.
///
/// # Errors
/// [`Error::Refused`] where the run is not done, has no model, or holds a file that is not the one it wrote;
/// [`Error::Io`] and [`Error::Interrupted`], which leave no zip.
pub fn pack(run: &Path, out: &Path, scores: bool, stop: &Stop) -> Result<PackReport> {
    let results = Results::open_done(run)?;
    let models = results.models();
    if models.is_empty() {
        let error = Error::refused(format!("{} has no model to pack", run.display()));
        return Err(error.with_hint("of an ensemble, pack its runs; its manifest.json names them"));
    }
    let real = run.canonicalize().map_err(Error::io("find", run))?;
    let name = real.file_name().map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut entries = Vec::new();
    for file in files(run, &models, scores)? {
        stop.check()?;
        if file != Path::new(names::MANIFEST) && !results.wrote(&file)? {
            continue;
        }
        let content = if file.ends_with("model.safetensors") {
            Content::Stored(run.join(&file))
        } else {
            Content::File(run.join(&file))
        };
        entries.push((format!("{name}/{}", slashed(&file)), content));
    }
    let readme = readme(&name, &results, &results.experiment()?);
    entries.push((
        format!("{name}/README.txt"),
        Content::Text(readme.into_bytes()),
    ));
    archive::write(out, &entries, stop)?;
    Ok(PackReport {
        pack: out.to_owned(),
        folder: name,
        files: entries.len(),
        bytes: out.metadata().map_err(Error::io("read", out))?.len(),
    })
}

/// What goes in, relative to the run folder, in a fixed order.
fn files(run: &Path, models: &[PathBuf], scores: bool) -> Result<Vec<PathBuf>> {
    let always = [
        names::MANIFEST,
        names::CONFIG,
        names::MAPPING,
        names::SUBMISSION,
        names::SUBMISSION_ZIP,
        names::SUBMISSION_JSON,
    ];
    let tables = [names::OOF, names::VALID, names::TEST];
    let wanted = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
    let mut files = wanted(&always);
    if scores {
        files.extend(wanted(&tables));
    }
    let full = run.join(names::FULL).join(names::MODEL);
    for model in models.iter().chain([&full]).filter(|model| model.is_dir()) {
        let inside = model.strip_prefix(run).expect("a model of this run");
        let names = sorted_names(model)?;
        files.extend(names.iter().map(|name| inside.join(name)));
        if let Some(fold) = inside.parent().filter(|fold| *fold != Path::new("")) {
            files.push(fold.join(names::DONE));
            if scores {
                files.extend(tables.map(|table| fold.join(table)));
            }
        }
    }
    files.retain(|file| run.join(file).is_file());
    Ok(files)
}

/// Zip names have slashes on every system.
fn slashed(path: &Path) -> String {
    let parts = path.iter().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

fn readme(name: &str, results: &Results, experiment: &Experiment) -> String {
    let record = &results.record;
    let hash: String = record.config_sha256.chars().take(8).collect();
    let mut text = format!(
        "{name}: a run of {}, config {hash}\n\n\
         Score more pairs of the same cipher:\n  cipherpet predict {name} --pairs PAIRS --out scores.csv\n\n\
         Run it again on your copies of its files, wherever they lie:\n  cipherpet run {name}/config.toml{}\n\
         Files are known by their content. The run's folder, runs/config-{hash}, shows that all are the same;\n\
         with --out {name} the run is found done.\n\nIts files:\n",
        record.tool,
        assignments(experiment)
    );
    for input in &record.inputs {
        let path = &input.path;
        let file = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        writeln!(
            text,
            "  {}  {file}  {} bytes  sha256 {}",
            input.key, input.bytes, input.sha256
        )
        .expect("a String takes every write");
    }
    text
}

/// ` --set data.test=FILE --set checkpoint.dir=DIR …` for every path of the experiment that is outside the tool.
fn assignments(experiment: &Experiment) -> String {
    let mut keys: Vec<(String, usize)> = Vec::new();
    for (key, path) in experiment.inputs() {
        match keys.last_mut() {
            _ if source::is_embedded(&path) => {}
            Some((last, n)) if *last == key => *n += 1,
            _ => keys.push((key, 1)),
        }
    }
    let set = |(key, n): &(String, usize)| {
        // Of a folder several files may be read.
        let (what, n) = match key.as_str() {
            "checkpoint.dir" | "data.augment" => ("DIR", 1),
            "distill.from" => ("DIR", experiment.distill.from.len()),
            _ => ("FILE", *n),
        };
        match n {
            1 => format!(" --set {key}={what}"),
            n => {
                let each = vec![format!("\"{what}\""); n];
                format!(" --set '{key}=[{}]'", each.join(", "))
            }
        }
    };
    keys.iter().map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_asked_for_as_folders_however_many_files_are_read_in_them() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "pairs"] {
            std::fs::create_dir(at(name)).expect("room");
        }
        for name in [
            "a/oof.csv",
            "a/test.csv",
            "b/oof.csv",
            "pairs/1.tsv",
            "pairs/2.tsv",
        ] {
            std::fs::write(at(name), "").expect("room");
        }
        let mut experiment = Experiment::default();
        experiment.data.train = vec![at("train.tsv"), at("more.tsv")];
        experiment.data.augment = Some(at("pairs"));
        experiment.distill.from = vec![at("a"), at("b")];
        assert_eq!(
            assignments(&experiment),
            " --set 'data.train=[\"FILE\", \"FILE\"]' --set data.augment=DIR \
             --set 'distill.from=[\"DIR\", \"DIR\"]'"
        );
        experiment.distill.from.pop();
        let asked = assignments(&experiment);
        assert!(asked.ends_with(" --set distill.from=DIR"), "{asked}");
    }
}
