//! `cipherpet predict`: more pairs, scored by a run.

use std::path::PathBuf;

use clap::Args;

use super::{Session, output};
use crate::error::Result;
use crate::workbench::predict::{self as job, PredictReport};

/// Arguments of `predict`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet predict runs/first --pairs test_b.tsv --out test_b.csv
  cipherpet predict runs/first --pairs test_b.tsv --out test_b.csv --one-by-one --threads 1

Beside the scores, FILE.json says what they were made of.

One by one, each row goes through the network alone (both orders of its sentences together, where
swap is on), and the time of a row is reported: p50, p99 and the slowest. Where a competition limits
that time, `--swap false` takes half of it.")]
pub struct PredictArguments {
    /// The run folder
    run: PathBuf,
    /// Pairs of the same cipher, in the form of the run's files; labels are ignored
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// Where to write the scores: one a line, or beside ids where the rows have them
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: PathBuf,
    /// Send each row through the network alone, and report the time of a row
    #[arg(long)]
    one_by_one: bool,
    /// Score both orders of the sentences and take the mean; as the run's predict.swap unless said
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    swap: Option<bool>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn predict(arguments: &PredictArguments, session: &Session) -> Result<()> {
    let PredictArguments {
        run,
        pairs,
        out,
        one_by_one,
        swap,
        json,
    } = arguments;
    let options = job::PredictOptions {
        one_by_one: *one_by_one,
        swap: *swap,
    };
    let report = job::predict(run, pairs, out, options, session.context())?;
    if *json || report.latency.is_some() {
        output::print(&report, &text(&report), *json)?;
    }
    session.note(&format!("{} scores: {}", report.rows, out.display()));
    Ok(())
}

fn text(report: &PredictReport) -> String {
    let mut text = format!("rows a second  {:.0}", report.rows_per_second);
    if let Some(latency) = report.latency {
        let rows = [
            ("p50", latency.p50_milliseconds),
            ("p99", latency.p99_milliseconds),
            ("slowest row", latency.largest_milliseconds),
        ];
        for (name, milliseconds) in rows {
            text.push_str(&format!("\n{name:<13}  {milliseconds:.2} ms"));
        }
    }
    text
}
