//! `cipherpet ensemble`: several runs made one.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Session, Settings, output, say};
use crate::error::Result;
use crate::workbench::ensemble::{self as job, EnsembleReport, How};

/// Arguments of `ensemble`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet ensemble runs/a runs/b runs/c --how logit --out runs/blend
  cipherpet ensemble runs/a --set submit.format=csv --set submit.probability=true --out runs/a-csv

The runs must have held out the same rows and scored the same test file. What they make is a run
to `board`, `check` and `ensemble`. [submit] is that of the first run, under --set. With --how
weights the metric is printed twice: fitted on the same rows that chose the weights, which is too
good, and nested, on rows that did not choose them. Trust the nested one. Ranks say an order and
the likeliest class and no probability: of --how rank no log loss is shown, and a submission of
probabilities is refused, but for a sample where the order alone is judged, as by AUC.")]
pub struct EnsembleArguments {
    /// Run folders; ensembles are runs too
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// How scores become one
    #[arg(long, value_enum, default_value_t = Way::Logit)]
    how: Way,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// Mean of probabilities
    Mean,
    /// Mean of ranks; of named classes, of all log-probabilities together
    Rank,
    /// Mean of logits
    Logit,
    /// Weighted mean of logits, weights by greedy selection
    Weights,
}

pub fn ensemble(arguments: &EnsembleArguments, session: &Session) -> Result<()> {
    let how = match arguments.how {
        Way::Mean => How::Mean,
        Way::Rank => How::Rank,
        Way::Logit => How::Logit,
        Way::Weights => How::Weights,
    };
    let (runs, out) = (&arguments.runs, &arguments.out);
    let report = job::ensemble(runs, how, out, &arguments.settings.set, session.context())?;
    output::print(&report, &text(&report), arguments.json)?;
    say(&match &report.submission {
        Some(submission) => format!("submission: {}", submission.display()),
        None => format!(
            "no submission, as the runs have no test file; ensemble: {}",
            out.display()
        ),
    });
    Ok(())
}

fn text(report: &EnsembleReport) -> String {
    let title = report.metric.metric().title;
    let width = title.len().max(7);
    let figure = |figure: Option<f64>| figure.map_or("none".to_owned(), |x| format!("{x:.5}"));
    let mut text = format!("{title:<width$}  weight  run\n");
    for run in &report.runs {
        let line = format!(
            "{:<width$}  {:<6.3}  {}\n",
            figure(run.score),
            run.weight,
            run.run.display()
        );
        text += &line;
    }
    let methods = &report.methods;
    text += &format!("\n{title:<width$}  way\n");
    for (way, value, remark) in [
        (How::Mean, methods.mean, ""),
        (How::Rank, methods.rank, ""),
        (How::Logit, methods.logit, ""),
        (How::Weights, methods.weights, " as fitted"),
        (How::Weights, methods.weights_nested, " nested"),
    ] {
        let counts = way == report.how && remark != " as fitted";
        let mark = if counts { "  <- the ensemble" } else { "" };
        writeln!(
            text,
            "{:<width$}  {}{remark}{mark}",
            figure(value),
            way.name()
        )
        .expect("a String takes every write");
    }
    text
}
