//! `cipherpet zero-shot`: scores without labels, by next sentence prediction or by prompts.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::run::heading;
use super::{Session, Settings, output};
use crate::config::{self, DEFAULT_EXPERIMENT, DEMO_CHECKPOINT, DEMO_COUNTS, Loaded};
use crate::error::Result;
use crate::workbench::run_folder::names;
use crate::workbench::zero_shot::{self as job, Method, ZeroShotOptions, ZeroShotReport};

/// Arguments of `zero-shot`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet zero-shot experiment.toml --prior 0.36 --out scores.tsv
  cipherpet zero-shot --text --pairs lcqmc-dev.tsv --json
  cipherpet zero-shot --text --pairs hotel.tsv --set task.kind=single --prompts prompts.toml

The score of a pair is the margin of the NSP head, the mean over both orders: which pairs look most
like a sentence and the next. Its checkpoint must have an NSP head that was trained. A cipher is
aligned as in a run, and the network begins as there: what a run has learnt is not asked. With
--text the rows are plain text, and the checkpoint's tokenizer cuts them. Rows are those of --pairs,
or else of data.train, or else of data.test. Labels are compared with.

Prompts are TOML; a mention that a task names apart is to be written into the text:
  template = \"这次买的东西很{}\"     {} is the candidate's place; default \"{}\"
  side = \"prefix\"                   or \"suffix\": what is said stands behind the text
  text = \"{a}\"                      the row's text; {b} is the second of a pair
  blank = \"__\"                      in the text: the candidate has the positions of this place
  [[label]]                         one a label; none: the candidate is the second text
  name = \"1\"                        as the data writes it
  prompt = \"好\"                     the candidate")]
pub struct ZeroShotArguments {
    /// Experiment file, or the folder of a run [default: that of `cipherpet run`, with --pairs the BERT inside the tool alone]
    #[arg(value_name = "EXPERIMENT")]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Score the rows of this file
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// The rows are plain text
    #[arg(long)]
    text: bool,
    /// Score labels by what is said for each; the rows are plain text
    #[arg(long, value_name = "TOML")]
    prompts: Option<PathBuf>,
    /// Which head is asked
    #[arg(long, value_enum, default_value_t = Head::Nsp)]
    method: Head,
    /// Share of label 1, by which scores become labels; of several classes one share each, lowest scores first
    #[arg(long, value_name = "SHARE", num_args = 1.., value_delimiter = ',')]
    prior: Vec<f64>,
    /// Also score each first text beside the second text of another row: how well the two are told apart needs no label
    #[arg(long)]
    probe: bool,
    /// Write a table: row, score, and label where there is one
    #[arg(long, value_name = "TSV", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Head {
    /// Next sentence prediction
    Nsp,
    /// Masked tokens in the candidate's place
    Pet,
}

pub fn zero_shot(arguments: &ZeroShotArguments, session: &Session) -> Result<()> {
    let (loaded, run) = arguments.load()?;
    let options = ZeroShotOptions {
        run: run.as_deref(),
        pairs: arguments.pairs.as_deref(),
        is_text: arguments.text,
        prompts: arguments.prompts.as_deref(),
        method: match arguments.method {
            Head::Nsp => Method::Nsp,
            Head::Pet => Method::Pet,
        },
        prior: &arguments.prior,
        probe: arguments.probe,
        out: arguments.out.as_deref(),
    };
    let report = job::zero_shot(&loaded, &options, session.context())?;
    output::print(&report, &text(&report), arguments.json)
}

impl ZeroShotArguments {
    /// The settings, and the folder of the run that they are of.
    fn load(&self) -> Result<(Loaded, Option<PathBuf>)> {
        let set = &self.settings.set;
        match &self.experiment {
            Some(run) if run.is_dir() => {
                let loaded = config::load(Some(&run.join(names::CONFIG)), set)?;
                Ok((loaded, Some(run.clone())))
            }
            Some(file) => Ok((config::load(Some(file), set)?, None)),
            None if self.pairs.is_none() => {
                let loaded = config::load(Some(Path::new(DEFAULT_EXPERIMENT)), set)?;
                Ok((loaded, None))
            }
            None => {
                let mut loaded = config::load(None, set)?;
                let experiment = &mut loaded.experiment;
                if experiment.checkpoint.dir.is_none() {
                    experiment.checkpoint.dir = Some(DEMO_CHECKPOINT.into());
                    let counts = &mut experiment.align.counts;
                    counts.get_or_insert_with(|| DEMO_COUNTS.into());
                }
                Ok((loaded, None))
            }
        }
    }
}

fn text(report: &ZeroShotReport) -> String {
    let mut text = format!("{}{}", heading("rows"), report.rows);
    let mut line = |name: &str, value: String| {
        let _ = write!(text, "\n{}{value}", heading(name)); // a String takes every write
    };
    if report.labelled_rows > 0 {
        line("labelled", report.labelled_rows.to_string());
    }
    for (name, figure) in &report.figures {
        line(name.metric().title, format!("{figure:.4}"));
    }
    if let Some(accuracy) = report.accuracy {
        let by = match &report.prior {
            Some(_) => "labels by the prior",
            None => "the likeliest prompt",
        };
        line("accuracy", format!("{accuracy:.4}, {by}"));
    }
    if let Some(probe) = report.probe_auc {
        line(
            "probe AUC",
            format!("{probe:.4}, own pairs above pairs with another row's text"),
        );
    }
    line("rows/s", format!("{:.0}", report.rows_per_second));
    if let Some(out) = &report.out {
        line("scores", out.display().to_string());
    }
    text
}
