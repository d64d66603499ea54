//! A script that trains an experiment with Slurm: one task of an array for each model, and a job that merges them.
//!
//! In: the cells of an experiment and what to ask of Slurm ([`Resources`]). Out: a [`Script`] for bash, which submits
//! itself. Each task is `cipherpet run` with `--fold`, in the run folder that [`run`](mod@super::run) would take; the run
//! folders are all that tasks share. Their names stand in the script, so that an experiment that was edited after
//! it is refused there, with the difference. Submits nothing, and knows no cluster.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use shlex::Quoter;

use super::run::plan;
use super::run_folder::folder;
use super::run_folder::manifest::{Identity, TOOL};
use super::run_folder::names::ModelName;
use crate::atomic;
use crate::config::Loaded;
use crate::error::{Error, Result};

/// What the script does in its three roles; the same for every experiment.
const BODY: &str = include_str!("slurm.sh");

/// What stands under the options of Slurm.
const HEAD: &str = "\
# Trains an experiment with Slurm: an array with one task a model, and a job that merges the folds.
#
#   bash THIS_FILE      submits both; once more: both again, and they do what is missing
#   sbatch THIS_FILE    submits the tasks alone
#
# A task that stops in time, or is killed, puts itself back into the queue and goes on from its checkpoint.
";

/// What a task asks of Slurm. What is none is left to the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// `--partition`
    pub partition: Option<String>,
    /// `--time`; the tasks stop before it is up.
    pub time: Option<TimeLimit>,
    /// `--cpus-per-task`; also the threads.
    pub cpus: Option<u16>,
    /// `--mem`
    pub memory: Option<String>,
    /// `--account`
    pub account: Option<String>,
    /// Further options, as `sbatch` takes them.
    pub options: Vec<String>,
}

/// Wall time of a task, as Slurm writes it: `90`, `90:00`, `1:30:00`, `1-12`, `1-12:00`, `1-12:00:00`. At least two minutes.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeLimit {
    text: String,
    minutes: f64,
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let minutes = minutes(text).filter(|&minutes| minutes >= 2.0);
        let minutes = minutes.ok_or("expected two minutes or more, such as 90, 1:30:00 or 1-12")?;
        Ok(Self {
            text: text.to_owned(),
            minutes,
        })
    }
}

impl TimeLimit {
    /// Minutes after which a task stops: a tenth less, for the last step and the checkpoint, but at least one minute
    /// and at most ten.
    pub fn max_minutes(&self) -> f64 {
        (self.minutes - (self.minutes / 10.0).clamp(1.0, 10.0)).floor()
    }
}

/// Reads `minutes[:seconds]`, `hours:minutes:seconds` and `days-hours[:minutes[:seconds]]`.
fn minutes(text: &str) -> Option<f64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days), rest),
        None => (None, text),
    };
    let number = |text: &str| -> Option<u32> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()); // no sign
        text.parse().ok().filter(|_| is_plain)
    };
    let parts: Option<Vec<u32>> = rest.split(':').map(number).collect();
    let minutes_of_a_part: &[f64] = match (days, parts.as_ref()?.len()) {
        (Some(_), 1..=3) | (None, 3) => &[60.0, 1.0, 1.0 / 60.0],
        (None, 1 | 2) => &[1.0, 1.0 / 60.0],
        _ => return None,
    };
    let sum: f64 = parts?
        .iter()
        .zip(minutes_of_a_part)
        .map(|(&part, scale)| f64::from(part) * scale)
        .sum();
    let days = days.map_or(Some(0), number)?;
    Some(f64::from(days) * 24.0 * 60.0 + sum)
}

/// What a script is made of.
pub struct Job<'a> {
    /// The command, absolute.
    pub tool: &'a Path,
    /// The working folder, absolute: relative paths of `--set`, and `runs/`, lie there.
    pub folder: &'a Path,
    /// The experiment file.
    pub experiment: &'a Path,
    /// What `--set` sets over it.
    pub assignments: &'a [String],
    /// Its cells.
    pub cells: &'a [Loaded],
    /// What to ask of Slurm.
    pub resources: &'a Resources,
}

/// A script and what it does; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Script {
    /// Where it was written; none where it was not.
    pub script: Option<PathBuf>,
    /// The command that submits it, quoted for the shell; none where it was not written.
    pub submit: Option<String>,
    /// One entry a task, in the order of the array.
    pub tasks: Vec<Task>,
    /// Runs of folds, which are merged when the tasks have ended.
    pub merges: Vec<PathBuf>,
    /// The script itself.
    pub text: String,
}

/// One model to train.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Its run folder, inside the working folder.
    pub run: PathBuf,
    /// What the grid has set: `seed = 1`; empty without a grid.
    pub cell: String,
    /// As `--fold` takes it; none for a run without folds.
    pub fold: Option<String>,
}

/// What the array and the job after it do, with the lines of the script that say so.
#[derive(Default)]
struct Plan {
    tasks: Vec<Task>,
    train: String,
    merges: Vec<PathBuf>,
    finish: String,
}

impl Job<'_> {
    /// Makes the script, and writes it to `out` where there is one.
    ///
    /// # Errors
    /// Those of the config and of the inputs; [`Error::Refused`] for a run folder that holds another run, a path that
    /// is not UTF-8 and an option that does not fit into one line of a script; [`Error::Io`].
    pub fn script(&self, out: Option<&Path>) -> Result<Script> {
        let plan = self.plan()?;
        let text = self.text(&plan)?;
        let mut submit = None;
        if let Some(out) = out {
            submit = Some(format!("bash -- {}", quoted_path(out)?));
            atomic::write(out, text.as_bytes())?;
        }
        Ok(Script {
            script: out.map(Path::to_owned),
            submit,
            tasks: plan.tasks,
            merges: plan.merges,
            text,
        })
    }

    fn plan(&self) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut runs = Vec::new();
        for loaded in self.cells {
            loaded.check()?;
            let experiment = &loaded.experiment;
            let identity = Identity::of(experiment)?;
            let run = plan::default_folder(loaded, &identity);
            if runs.contains(&run) {
                continue; // files of other names and the same content make no other run
            }
            folder::look(&run, experiment, &identity)?;
            if plan::has_folds(experiment) {
                let arguments = self.arguments(loaded, &run, &["--finish".to_owned()])?;
                add_case(&mut plan.finish, plan.merges.len(), &arguments);
                plan.merges.push(run.clone());
            }
            for model in plan::models(experiment) {
                let fold = (model != ModelName::Single).then(|| model.to_string());
                let arguments = self.arguments(loaded, &run, &self.of_task(fold.as_deref()))?;
                add_case(&mut plan.train, plan.tasks.len(), &arguments);
                plan.tasks.push(Task {
                    run: run.clone(),
                    cell: loaded.cell.clone(),
                    fold,
                });
            }
            runs.push(run);
        }
        Ok(plan)
    }

    fn text(&self, plan: &Plan) -> Result<String> {
        let name = self.name();
        Ok(format!(
            "#!/usr/bin/env bash\n\
             #SBATCH --job-name={name}\n\
             #SBATCH --array=0-{}\n\
             #SBATCH --requeue\n\
             #SBATCH --open-mode=append\n\
             {}#\n{HEAD}# By {TOOL}.\n\
             \n\
             name={name}\nfolder={}\ntool={}\nexperiment={}\nmerges={}\n\
             \n\
             # One line a task. The run folder is fixed, so that it refuses settings and files that have changed since.\n\
             train() {{\n    case $1 in\n{}{NO_CASE}    esac\n}}\n\
             \n\
             # One line a run of folds.\n\
             finish() {{\n    case $1 in\n{}{NO_CASE}    esac\n}}\n{BODY}",
            plan.tasks.len().saturating_sub(1),
            self.resources.directives()?,
            quoted_path(self.folder)?,
            quoted_path(self.tool)?,
            quoted_path(&self.folder.join(self.experiment))?,
            plan.merges.len(),
            plan.train,
            plan.finish,
        ))
    }

    /// What a shell, and the options of Slurm, take as it is.
    fn name(&self) -> String {
        let name = self.cells.first().map_or("", |loaded| &loaded.name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        name.chars()
            .map(|c| if is_plain(c) { c } else { '-' })
            .collect()
    }

    /// What only the tasks take.
    fn of_task(&self, fold: Option<&str>) -> Vec<String> {
        let time = self.resources.time.as_ref();
        let minutes = time.map(|time| ("--max-minutes", time.max_minutes().to_string()));
        let fold = fold.map(|name| ("--fold", name.to_owned()));
        let options = fold.into_iter().chain(minutes);
        options
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect()
    }

    /// The arguments of one run, quoted for the shell.
    fn arguments(&self, loaded: &Loaded, run: &Path, more: &[String]) -> Result<String> {
        let assignments = self.assignments.iter().chain(&loaded.cell_assignments);
        let assignments = assignments.flat_map(|assignment| ["--set", assignment]);
        let out = ["--out", utf8(run)?];
        let words = assignments
            .chain(out)
            .chain(more.iter().map(String::as_str));
        let words: Result<Vec<String>> = words.map(quoted).collect();
        Ok(words?.join(" "))
    }
}

/// What a `case` does with a number that stands for nothing.
const NO_CASE: &str = "    *) echo \"no task $1\" >&2; return 2 ;;\n";

fn add_case(cases: &mut String, number: usize, arguments: &str) {
    // A String takes every write.
    let _ = writeln!(cases, "    {number}) run {arguments} ;;");
}

impl Resources {
    /// One line each.
    fn directives(&self) -> Result<String> {
        let mut lines = String::new();
        let time = self.time.as_ref().map(|time| time.text.clone());
        let cpus = self.cpus.map(|cpus| cpus.to_string());
        let named = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("time", &time),
            ("cpus-per-task", &cpus),
            ("mem", &self.memory),
        ];
        for (option, value) in named {
            if let Some(value) = value {
                require_word(option, value)?;
                let _ = writeln!(lines, "#SBATCH --{option}={value}");
            }
        }
        for option in &self.options {
            if !option.starts_with('-') || option.contains(char::is_control) {
                let message = format!("--sbatch {option:?}: expected one line of options");
                return Err(Error::refused(message)
                    .with_hint("write it as for sbatch: --sbatch \"--qos=long --exclusive\""));
            }
            let _ = writeln!(lines, "#SBATCH {option}");
        }
        Ok(lines)
    }
}

/// Slurm splits a line of options at spaces and has quotes of its own.
fn require_word(option: &str, value: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:+@/=".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return Ok(());
    }
    let message = format!("--{option} {value:?}: expected one plain word");
    Err(Error::refused(message).with_hint("--sbatch takes options as they are"))
}

fn quoted_path(path: &Path) -> Result<String> {
    quoted(utf8(path)?)
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let message = format!("{} is not UTF-8, as a script must be", path.display());
        Error::refused(message).with_hint("rename it, or work from another folder")
    })
}

/// A word as a shell reads it: in quotes where it needs them.
///
/// # Errors
/// [`Error::Refused`] for a word with a NUL.
pub fn quoted(word: &str) -> Result<String> {
    let quoted = Quoter::new().quote(word);
    quoted
        .map(|quoted| quoted.into_owned())
        .map_err(|error| Error::refused(format!("{word:?} cannot stand in a script: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_slurm_reads_them() {
        // Minutes; what a task may take is a tenth less, at least one and at most ten minutes.
        let cases = [
            ("2", 2.0, 1.0),
            ("90", 90.0, 81.0),
            ("90:30", 90.5, 81.0),
            ("1:30:00", 90.0, 81.0),
            ("0:05:00", 5.0, 4.0),
            ("1-12", 2160.0, 2150.0),
            ("1-12:30", 2190.0, 2180.0),
            ("1-00:00:30", 1440.5, 1430.0),
        ];
        for (text, expected, max_minutes) in cases {
            let time: TimeLimit = text.parse().expect(text);
            assert!((time.minutes - expected).abs() < 1e-9, "{text}: {time:?}");
            assert_eq!(time.max_minutes(), max_minutes, "{text}");
        }
        for text in [
            "",
            "1",
            "0",
            "1:59",
            "-5",
            "+5",
            "1.5",
            "UNLIMITED",
            "1:2:3:4",
            "1-",
            "1-1:2:3:4",
            "a-1",
        ] {
            assert!(text.parse::<TimeLimit>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn options_stand_in_lines_of_their_own_and_cannot_leave_them() {
        let resources = Resources {
            partition: Some("main,long".to_owned()),
            time: "1:30:00".parse().ok(),
            cpus: Some(4),
            memory: Some("8G".to_owned()),
            account: Some("team".to_owned()),
            options: vec!["--qos=long --comment=\"a b\"".to_owned()],
        };
        let expected = "#SBATCH --partition=main,long\n#SBATCH --account=team\n#SBATCH --time=1:30:00\n\
                        #SBATCH --cpus-per-task=4\n#SBATCH --mem=8G\n#SBATCH --qos=long --comment=\"a b\"\n";
        assert_eq!(resources.directives().expect("good options"), expected);
        for bad in ["a b", "", "a\nb", "a#b", "'a'", "$(a)"] {
            let resources = Resources {
                partition: Some(bad.to_owned()),
                ..Resources::default()
            };
            let message = format!("--partition {bad:?}: expected one plain word");
            let error = resources.directives().expect_err("not a word");
            assert_eq!(error.to_string(), message);
        }
        for bad in ["--qos=a\nrm -rf x", "qos=long", ""] {
            let resources = Resources {
                options: vec![bad.to_owned()],
                ..Resources::default()
            };
            let message = format!("--sbatch {bad:?}: expected one line of options");
            let error = resources.directives().expect_err("not a line of options");
            assert_eq!(error.to_string(), message);
        }
    }
}
