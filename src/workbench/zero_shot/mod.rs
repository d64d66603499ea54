//! Scores without labels: what a BERT's own heads say of rows that nobody has trained it on.
//!
//! In: an experiment or a run folder, and [`ZeroShotOptions`]. Out: a [`ZeroShotReport`], and where it is asked for a table of the
//! scores. Without prompts rows are pairs, of a cipher or of plain text, and their score is the margin of next sentence
//! prediction, the mean over both orders. With prompts rows are plain text, and each label is as likely as what is said for it: by
//! next sentence prediction, or by the MLM for comparison. Labels in the files are compared with, never used. Trains nothing.
//!
//! | file | what |
//! |---|---|
//! | [`rows`] | the rows, and the network that scores them |
//! | [`prompts`] | the file of prompts |
//! | [`question`] | prompts in tokens: what is asked of a row |
//! | [`input`] | what the network reads: orders, types, positions |
//! | [`score`] | numbers from heads |

pub mod input;
pub mod prompts;
pub mod question;
pub mod rows;
pub mod score;

use std::path::{Path, PathBuf};
use std::time::Instant;

use csv::QuoteStyle;
use serde::Serialize;

use self::input::Input;
use self::prompts::Prompts;
use self::question::Question;
use self::rows::{Rows, untrained_head};
pub use self::score::Method;
use self::score::scores;
use super::table::table as as_table;
use super::{Context, number};
use crate::atomic;
use crate::config::Loaded;
use crate::data::{EncodedExample, LabelKind, Scores, Target, Task, TextKind};
use crate::error::{Error, Result};
use crate::metrics::{Figures, MetricName, auc, likeliest, quantile_groups};
use crate::random::{Key, Purpose};

/// What is scored, and how.
#[derive(Debug, Clone, Copy)]
pub struct ZeroShotOptions<'a> {
    /// The folder of a run, whose settings were loaded: what it has aligned is taken up.
    pub run: Option<&'a Path>,
    /// The rows, where they are not those of the experiment.
    pub pairs: Option<&'a Path>,
    /// The rows are plain text. With prompts they always are.
    pub is_text: bool,
    /// The file of prompts.
    pub prompts: Option<&'a Path>,
    /// Which head is asked; `pet` needs prompts.
    pub method: Method,
    /// Shares of the labels, lowest scores first, by their sum; one number is the share of label 1. None: labels by prompts
    /// alone.
    pub prior: &'a [f64],
    /// Also scores each first text beside the second text of another row.
    pub probe: bool,
    /// Where to write the scores.
    pub out: Option<&'a Path>,
}

/// What came of it; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZeroShotReport {
    /// The table of scores, where it was asked for.
    pub out: Option<PathBuf>,
    /// The files whose rows were scored.
    pub files: Vec<PathBuf>,
    /// Texts of a row, kind of its label, and the classes.
    pub task: Task,
    /// Which head was asked.
    pub method: Method,
    /// Rows scored.
    pub rows: usize,
    /// Of these, with a label in the files.
    pub labelled_rows: usize,
    /// Figures of those: `auc`, `accuracy`, … by kind of label; empty without labels.
    pub figures: Figures,
    /// Shares of the labels by which scores became labels, lowest scores first; none where nobody gave any.
    pub prior: Option<Vec<f64>>,
    /// Share of the labelled rows whose label is right: that by the prior, or else that of the likeliest prompt.
    pub accuracy: Option<f64>,
    /// AUC of the scores of the rows above those of their first texts beside other rows' second texts; no label takes part.
    pub probe_auc: Option<f64>,
    /// Time in the network.
    pub seconds: f64,
    /// Rows by that time.
    pub rows_per_second: f64,
}

/// Scores the rows.
///
/// # Errors
/// Those of the rows, of the prompts and of the checkpoint; [`Error::Refused`] for options that do not go together;
/// [`Error::Io`]; [`Error::Interrupted`], which leaves no file.
pub fn zero_shot(
    loaded: &Loaded,
    options: &ZeroShotOptions,
    context: Context,
) -> Result<ZeroShotReport> {
    require_options(loaded, options)?;
    let experiment = &loaded.experiment;
    let prompts = options
        .prompts
        .map(|path| Prompts::read(path, experiment.task.kind));
    let prompts = prompts.transpose()?;
    let warning = untrained_head(experiment).filter(|_| options.method == Method::Nsp);
    warning.iter().for_each(|line| context.progress.say(line));
    let mut rows = if options.is_text || prompts.is_some() {
        let blank = prompts
            .as_ref()
            .and_then(|prompts| prompts.blank.as_deref());
        let heads = options.method.heads();
        Rows::of_text(loaded, options.pairs, heads, blank, context)?
    } else {
        Rows::of_cipher(loaded, options.run, options.pairs, context)?
    };
    let question = prompts
        .map(|prompts| Question::new(prompts, &mut rows))
        .transpose()?;
    let n_scores = n_scores(question.as_ref(), &rows.task);
    let shares = shares(options.prior, &rows.task, n_scores)?; // before all rows are scored
    let begun = Instant::now();
    let said = match &question {
        Some(question) => {
            question.require_short(&rows, options.method, experiment.data.max_tokens)?;
            by_prompts(&rows, question, options.method, context)?
        }
        None => {
            let pair = |row: usize| (row, row);
            Scores::single(by_margin(&rows, pair, experiment.predict.swap, context)?)
        }
    };
    let key = experiment.key();
    let probe_auc = match options.probe {
        true => probe(&rows, &said, key, experiment.predict.swap, context)?,
        false => None,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let has_labels = question.is_some_and(|question| question.has_labels());
    let labels = match &shares {
        Some(shares) => Some(quantile_groups(&said.column(0), shares)),
        None => has_labels.then(|| said.rows().map(likeliest).collect()),
    };
    if let Some(out) = options.out {
        atomic::write(out, &table(&said, labels.as_deref(), &rows.task)?)?;
    }
    let Judged {
        n_labelled,
        figures,
        accuracy,
    } = judge(&rows, &said, labels.as_deref(), has_labels);
    Ok(ZeroShotReport {
        out: options.out.map(Path::to_owned),
        method: options.method,
        rows: rows.rows.len(),
        labelled_rows: n_labelled,
        figures,
        prior: shares,
        accuracy,
        probe_auc,
        seconds,
        rows_per_second: rows.rows.len() as f64 / seconds.max(f64::MIN_POSITIVE),
        task: rows.task,
        files: rows.files,
    })
}

fn require_options(loaded: &Loaded, options: &ZeroShotOptions) -> Result<()> {
    let is_pair = loaded.experiment.task.kind == TextKind::Pair;
    let refused = |message: &str, hint: &str| Err(Error::refused(message).with_hint(hint));
    if options.method == Method::Pet && options.prompts.is_none() {
        return refused(
            "--method pet asks the MLM for the candidates of prompts, and there are none",
            "add --prompts FILE, or leave --method out",
        );
    }
    if !is_pair && options.prompts.is_none() {
        return refused(
            "rows of one text say nothing without prompts",
            "add --prompts FILE, or set task.kind = \"pair\"",
        );
    }
    if options.probe && options.prompts.is_some() {
        return refused(
            "--probe compares pairs, and prompts make none",
            "leave one of the two out",
        );
    }
    if options
        .prior
        .iter()
        .any(|share| !share.is_finite() || *share < 0.0)
    {
        return refused(
            "--prior takes shares of labels, 0 or more",
            "as in --prior 0.36",
        );
    }
    Ok(())
}

/// Scores of a row: by prompts one a candidate, of two classes the one that tells them apart.
fn n_scores(question: Option<&Question>, task: &Task) -> usize {
    match question.map_or(1, Question::n_candidates) {
        2 if task.labels == LabelKind::Binary => 1,
        n => n,
    }
}

/// Shares of the labels, lowest scores first; none where there is no prior.
fn shares(prior: &[f64], task: &Task, n_scores: usize) -> Result<Option<Vec<f64>>> {
    let refused = |message: String| {
        let hint = "one number is the share of label 1; of more classes give one number each, in the order of their scores";
        Err(Error::refused(message).with_hint(hint))
    };
    match (prior, task.labels) {
        ([], _) => Ok(None),
        _ if n_scores != 1 => {
            refused("--prior cuts one score a row, and each label has a score here".to_owned())
        }
        ([share], LabelKind::Binary) if *share <= 1.0 => Ok(Some(vec![1.0 - share, *share])),
        ([share], _) => refused(format!(
            "--prior {share}: the share of label 1 lies between 0 and 1, and labels are 0 and 1"
        )),
        (_, LabelKind::Binary | LabelKind::Classes)
            if prior.len() == task.classes.len() && prior.iter().sum::<f64>() > 0.0 =>
        {
            Ok(Some(prior.to_vec()))
        }
        _ => refused(format!(
            "--prior has {} numbers, the task {} classes",
            prior.len(),
            task.classes.len()
        )),
    }
}

/// Margins of pairs of texts: of the first text of one row and the second text of another, or of the same, as `pair` says for each row.
/// With `swap` the mean over both orders.
fn by_margin(
    rows: &Rows,
    pair: impl Fn(usize) -> (usize, usize),
    swap: bool,
    context: Context,
) -> Result<Vec<f32>> {
    let orders = 1 + usize::from(swap);
    let input = |number: usize| {
        let (first, second) = pair(number / orders);
        let a = &rows.rows[first].a[..];
        let b = rows.rows[second].b.as_deref().unwrap_or_default();
        Ok(match number % orders {
            0 => Input::pair(rows.specials, a, b),
            _ => Input::pair(rows.specials, b, a),
        })
    };
    let n = rows.rows.len() * orders;
    let bar = context.progress.task("score", n as u64, "inputs");
    let margins = scores(Method::Nsp, &rows.model, n, input, |n| {
        bar.advance(n as u64);
        context.stop.check()
    })?;
    let mean = |orders: &[f32]| orders.iter().sum::<f32>() / orders.len() as f32;
    Ok(margins.chunks(orders).map(mean).collect())
}

/// A score a class, of two classes that of the second less that of the first; without labels the one score of the second text.
fn by_prompts(
    rows: &Rows,
    question: &Question,
    method: Method,
    context: Context,
) -> Result<Scores> {
    let width = question.n_candidates();
    let n = rows.rows.len() * width;
    let input = |number: usize| question.input(rows, number / width, number % width, method);
    let bar = context.progress.task("score", n as u64, "inputs");
    let values = scores(method, &rows.model, n, input, |n| {
        bar.advance(n as u64);
        context.stop.check()
    })?;
    Ok(match n_scores(Some(question), &rows.task) < width {
        true => Scores::single(
            values
                .chunks_exact(2)
                .map(|both| both[1] - both[0])
                .collect(),
        ),
        false => Scores { width, values },
    })
}

/// How well the scores tell a row's own second text from that of another row. None where there is one row.
fn probe(rows: &Rows, own: &Scores, key: Key, swap: bool, context: Context) -> Result<Option<f64>> {
    let n = rows.rows.len();
    if n < 2 {
        return Ok(None);
    }
    let key = key.with(Purpose::NextSentence);
    let other = |row: usize| {
        let drawn = (key.bits(row as u64) % (n as u64 - 1)) as usize;
        (row, drawn + usize::from(drawn >= row))
    };
    let others = by_margin(rows, other, swap, context)?;
    let labels: Vec<bool> = (0..2 * n).map(|number| number < n).collect();
    Ok(auc(&labels, &[own.column(0), others].concat()))
}

/// Scores and labels beside those of the files.
struct Judged {
    n_labelled: usize,
    figures: Figures,
    accuracy: Option<f64>,
}

fn judge(rows: &Rows, said: &Scores, labels: Option<&[u32]>, has_labels: bool) -> Judged {
    let is_labelled = |row: &(usize, &EncodedExample)| row.1.target.is_known();
    let known = rows.rows.iter().enumerate().filter(is_labelled);
    let numbers: Vec<usize> = known.map(|(number, _)| number).collect();
    let targets: Vec<Target> = numbers
        .iter()
        .map(|&row| rows.rows[row].target.clone())
        .collect();
    let scores = said.select(&numbers);
    let tells = |name: &MetricName| match name {
        MetricName::Auc | MetricName::Spearman => true,
        MetricName::MacroF1 => has_labels,
        _ => false, // of probabilities, or of a cut at 0
    };
    let fits = rows.task.labels != LabelKind::Classes || said.width > 1;
    let names = MetricName::all_for(rows.task.labels).filter(|name| fits && tells(name));
    let figures = names.filter_map(|name| Some((name, name.of(&targets, &scores)?)));
    let right = labels.and_then(|labels| {
        let right = |&row: &usize| rows.rows[row].target.class() == Some(labels[row]);
        let n_right = numbers.iter().filter(|row| right(row)).count();
        (!numbers.is_empty()).then(|| n_right as f64 / numbers.len() as f64)
    });
    Judged {
        n_labelled: numbers.len(),
        figures: figures.collect(),
        accuracy: right,
    }
}

/// The table: TSV with a header, rows from 0.
fn table(said: &Scores, labels: Option<&[u32]>, task: &Task) -> Result<Vec<u8>> {
    let mut header = vec!["row".to_owned()];
    match said.width {
        1 => header.push("score".to_owned()),
        _ => header.extend(task.classes.iter().map(|class| format!("score_{class}"))),
    }
    header.extend(labels.map(|_| "label".to_owned()));
    let rows = said.rows().enumerate().map(|(number, row)| {
        let mut fields = vec![number.to_string()];
        fields.extend(row.iter().map(|&score| number::of_score(score)));
        fields.extend(labels.map(|labels| task.classes[labels[number] as usize].clone()));
        fields
    });
    as_table((b'\t', QuoteStyle::Necessary), header, rows)
}
