//! `cipherpet slurm`: an experiment for a cluster.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Session, Settings, output};
use crate::config;
use crate::error::{Error, Result};
use crate::workbench::slurm::{Job, Resources, Script, TimeLimit};

/// Arguments of `slurm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet slurm experiment.toml --set folds.k=5 --time 4:00:00 --cpus 8 --mem 16G --out train.sh
  bash train.sh
  cipherpet slurm experiment.toml --set 'grid.seed=[0, 1, 2]' --sbatch \"--array=0-14%4\" > train.sh

One task of an array trains one model: each fold of each cell of [grid]. A task stops before its
--time is up, saves, and puts itself back into the queue; so does one that was killed. A job of its
own merges each run of folds when all tasks have ended, and fails with a list where one is
missing: the same script, submitted again, does what is missing. Run folders, which all nodes must
see, are those of `cipherpet run` in the folder where the script was written.")]
pub struct SlurmArguments {
    /// The experiment file
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// The partition [default: the cluster's]
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Time a task may take in one go, as Slurm writes it: 90 (minutes), 1:30:00, 1-12 (days-hours) [default: the cluster's]
    #[arg(long)]
    time: Option<TimeLimit>,
    /// Processors a task, each with one thread [default: the cluster's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    cpus: Option<u16>,
    /// Memory a task: 16G [default: the cluster's]
    #[arg(long, value_name = "SIZE")]
    mem: Option<String>,
    /// The account to charge
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Further options for sbatch, as they are; they win over the others; repeatable
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// The script to write [default: stdout]
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print the script and its tasks as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn slurm(arguments: &SlurmArguments, session: &Session) -> Result<()> {
    let assignments = &arguments.settings.set;
    let cells = config::load_cells(Some(&arguments.experiment), assignments)?;
    let tool = std::env::current_exe().map_err(Error::io("find", Path::new("cipherpet")))?;
    let folder = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
    let resources = Resources {
        partition: arguments.partition.clone(),
        time: arguments.time.clone(),
        cpus: arguments.cpus,
        memory: arguments.mem.clone(),
        account: arguments.account.clone(),
        options: arguments.sbatch.clone(),
    };
    let job = Job {
        tool: &tool,
        folder: &folder,
        experiment: &arguments.experiment,
        assignments,
        cells: &cells,
        resources: &resources,
    };
    let script = job.script(arguments.out.as_deref())?;
    output::print(&script, &text(&script), arguments.json)?;
    session.note(&match &script.submit {
        Some(command) => format!("submit it: {command}"),
        None => "write it into a file, and submit it: bash FILE".to_owned(),
    });
    Ok(())
}

fn text(script: &Script) -> String {
    match &script.script {
        Some(file) => format!(
            "{}: {} to train, {} to merge",
            file.display(),
            count(script.tasks.len(), "model"),
            count(script.merges.len(), "run"),
        ),
        None => script.text.clone(),
    }
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
