//! The command line: arguments in, one job of [`workbench`] done, its report printed.
//!
//! One file a command. stdout carries what one may pipe; progress, notes and errors go to stderr.
//! Exit status: 0 done; 1 the user can fix it; 2 wrong usage, or unexpected; 75 stopped on
//! purpose with a state saved, and the same command goes on; 130 interrupted with nothing saved: before there was
//! anything to save, or by a second Ctrl-C, which waits for nothing. A reader that closes
//! the pipe early is no error. No logic of a job lives here.
//!
//! [`workbench`]: crate::workbench

mod align;
mod audit;
mod augment;
mod board;
mod check;
mod cipher;
mod completions;
mod count;
mod duplicates;
mod embed;
mod ensemble;
mod generate;
mod hash;
mod inspect;
mod man;
mod numbers;
mod output;
mod overwrite;
mod pack;
mod predict;
mod pretrain;
mod report;
mod run;
mod sampling;
mod score;
mod search;
mod slurm;
mod usage;
mod zero_shot;

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use console::style;

use crate::config::{self, Loaded};
use crate::error::{Error, Result, printable};
use crate::kernels;
use crate::progress::{Progress, Show};
use crate::workbench::{Context, Stop};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "cipherpet",
    version,
    about = "The workbench for text competitions on desensitised data"
)]
#[command(after_help = "Example: `cipherpet run` does the whole job on data inside the tool.")]
#[command(propagate_version = true)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// What the process was called with. Ends the process where that is wrong usage, or a page of help is asked for.
    pub fn read() -> Self {
        let words: Vec<OsString> = std::env::args_os().collect();
        let mut command = Self::command();
        let parsed = command
            .try_get_matches_from_mut(&words)
            .and_then(|mut matches| match overwrite::fault(&command, &matches) {
                Some(fault) => Err(overwrite::error(&mut command, &matches, fault)),
                None => Self::from_arg_matches_mut(&mut matches),
            });
        match parsed {
            Ok(arguments) => arguments,
            Err(error) => usage::with_tip(error, &words).exit(),
        }
    }
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Threads to work on [default: all]; they change no byte of a result
    #[arg(long, global = true, display_order = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Say nothing on stderr but errors and the result
    #[arg(long, short, global = true, display_order = 101)]
    quiet: bool,
}

/// One variant a command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do a whole experiment: align, train, validate, score, write a checked submission
    Run(run::RunArguments),
    /// Write a script that trains an experiment with Slurm, one task a model
    Slurm(slurm::SlurmArguments),
    /// Score more pairs with the model of a run
    Predict(predict::PredictArguments),
    /// Score rows without labels: next sentence prediction, or prompts
    ZeroShot(zero_shot::ZeroShotArguments),
    /// Write sentences of the same meaning with the model of a run
    Generate(generate::GenerateArguments),
    /// Write more positive pairs for the folds of a run, with its models
    Augment(augment::AugmentArguments),
    /// Write the vectors of texts, one a line
    Embed(embed::EmbedArguments),
    /// Find the nearest texts of a file to others
    Search(search::SearchArguments),
    /// Pretrain a BERT on plain text or on cipher ids
    Pretrain(pretrain::PretrainArguments),
    /// Show a run, or several side by side, as one HTML page
    Report(report::ReportArguments),
    /// Check a submission against its test file
    Check(check::CheckArguments),
    /// Blend runs: scores, submission, and what that is worth
    Ensemble(ensemble::EnsembleArguments),
    /// List runs, best first
    Board(board::BoardArguments),
    /// Note what a leaderboard said of a run
    Score(score::ScoreArguments),
    /// Pack a run for a teammate: models, config, mapping, manifest, no data
    Pack(pack::PackArguments),
    /// Count the tokens of plain text files with a BERT's tokenizer
    Count(count::CountArguments),
    /// Align pair files with plaintext by their neighbours: a mapping, and how good it is
    Align(align::AlignArguments),
    /// Say how much of desensitised pair files can be read back from plaintext alone
    Audit(audit::AuditArguments),
    /// Encipher plain files of your own, with a key, to measure alignments and methods on
    Cipher(cipher::CipherArguments),
    /// Look at the files of a competition: what is in them, how to validate, what a run costs
    Inspect(inspect::InspectArguments),
    /// Find duplicates, near-duplicates, leaks from train to test, and labels that contradict each other
    Duplicates(duplicates::DuplicatesArguments),
    /// Make short codes of vectors, or of tokens, and an index of them
    Hash(hash::HashArguments),
    /// Print what a shell needs to complete commands and options
    Completions(completions::CompletionsArguments),
    /// Write the help of every command as manual pages
    Man(man::ManArguments),
}

/// Which settings an experiment file and the command line give.
#[derive(Debug, Args)]
struct Settings {
    /// Set a key of the experiment over its file; VALUE is TOML, a bare word is a string; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// How pair files are read, for commands that take them without an experiment.
#[derive(Debug, Args)]
struct Reading {
    /// Take the reading keys of `[data]` (delimiter, header, text_a, …), and `[submit]`, from this experiment file; without
    /// one they are recognised from the rows
    #[arg(long, value_name = "TOML")]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl Reading {
    /// `read` holds the further keys and sections that the command `who` reads.
    fn load(&self, read: &[&str], who: &str) -> Result<Loaded> {
        self.load_from(self.experiment.as_deref(), read, who)
    }

    /// As [`Reading::load`], from this experiment file.
    fn load_from(&self, experiment: Option<&Path>, read: &[&str], who: &str) -> Result<Loaded> {
        let read = [&config::READING, read].concat();
        config::require_read(&self.settings.set, &read, who)?;
        let loaded = config::load(experiment, &self.settings.set)?;
        loaded.check_reading()?;
        Ok(loaded)
    }
}

/// What a command works with.
pub struct Session {
    progress: Progress,
    stop: Stop,
    pool: rayon::ThreadPool,
    quiet: bool,
}

impl Session {
    /// Decides how to show progress, listens for signals and starts the threads.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the system gives no threads or no signal handler; [`Error::Refused`] for an environment
    /// that asks for what there is not, and for names that are not UTF-8.
    pub fn begin(common: &Common) -> Result<Self> {
        kernels::path::check_variable()?;
        require_utf8()?;
        let show = match (common.quiet, stderr().is_terminal() && !is_notebook()) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bars,
            (false, false) => Show::Lines,
        };
        let stop = Stop::default();
        listen(stop.clone())?;
        let threads = common.threads.map_or(0, usize::from); // 0: as many as there are
        require_threads(threads)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Unexpected(format!("cannot start the threads: {error}")))?;
        Ok(Self {
            progress: Progress::new(show, stderr()),
            stop,
            pool,
            quiet: common.quiet,
        })
    }

    /// Does one command.
    ///
    /// # Errors
    /// Whatever the command's job fails with.
    pub fn execute(&self, command: &Command) -> Result<()> {
        self.pool.install(|| match command {
            Command::Run(arguments) => run::run(arguments, self),
            Command::Slurm(arguments) => slurm::slurm(arguments, self),
            Command::Predict(arguments) => predict::predict(arguments, self),
            Command::ZeroShot(arguments) => zero_shot::zero_shot(arguments, self),
            Command::Generate(arguments) => generate::generate(arguments, self),
            Command::Augment(arguments) => augment::augment(arguments, self),
            Command::Embed(arguments) => embed::embed(arguments, self),
            Command::Search(arguments) => search::search(arguments, self),
            Command::Pretrain(arguments) => pretrain::pretrain(arguments, self),
            Command::Report(arguments) => report::report(arguments, self),
            Command::Check(arguments) => check::check(arguments),
            Command::Ensemble(arguments) => ensemble::ensemble(arguments, self),
            Command::Board(arguments) => board::board(arguments, self),
            Command::Score(arguments) => score::score(arguments),
            Command::Pack(arguments) => pack::pack(arguments, self),
            Command::Count(arguments) => count::count(arguments, self),
            Command::Align(arguments) => align::align(arguments, self),
            Command::Audit(arguments) => audit::audit(arguments, self),
            Command::Cipher(arguments) => cipher::cipher(arguments, self),
            Command::Inspect(arguments) => inspect::inspect(arguments, self),
            Command::Duplicates(arguments) => duplicates::duplicates(arguments, self),
            Command::Hash(arguments) => hash::hash(arguments, self),
            Command::Completions(arguments) => completions::completions(arguments),
            Command::Man(arguments) => man::man(arguments, self),
        })
    }

    fn context(&self) -> Context<'_> {
        Context {
            progress: &self.progress,
            stop: &self.stop,
            tensorboard: false,
        }
    }

    /// A note for the user, not for the log.
    fn note(&self, line: &str) {
        if !self.quiet {
            say(&printable(line));
        }
    }
}

/// Refuses threads that would only wait for each other: a thousand on two processors take a minute to begin.
fn require_threads(threads: usize) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let most = (4 * processors).max(64);
    if threads <= most {
        return Ok(());
    }
    let message = format!(
        "--threads {threads}: at most {most} on this machine of {processors} processors; more only wait for each other"
    );
    Err(Error::refused(message)
        .with_hint("leave --threads away: one thread a processor is fastest"))
}

/// Refuses arguments, and a working directory, that are not UTF-8: records of a run are, and name its files.
fn require_utf8() -> Result<()> {
    let folder = std::env::current_dir().unwrap_or_default().into_os_string();
    for word in std::env::args_os().chain([folder]) {
        if word.to_str().is_none() {
            let message = format!("{} is not UTF-8", word.display());
            return Err(Error::refused(message).with_hint("rename the file or folder"));
        }
    }
    Ok(())
}

/// Whether a notebook shows the output. `!command` has a terminal there, whose bars would be kept frame by frame.
fn is_notebook() -> bool {
    const SET_BY_KERNELS: [&str; 3] = [
        "JPY_PARENT_PID",
        "KAGGLE_KERNEL_RUN_TYPE",
        "COLAB_RELEASE_TAG",
    ];
    SET_BY_KERNELS
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Ctrl-C and termination ask the work to end; a second time ends the process at once.
fn listen(stop: Stop) -> Result<()> {
    let handler = move || {
        if stop.request() {
            #[expect(
                clippy::exit,
                reason = "the user insists; files are whole at every moment"
            )]
            std::process::exit(130);
        }
        say("stopping; once more to stop at once, without saving");
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Error::Unexpected(format!("cannot listen for signals: {error}")))
}

/// Prints an error and its way out; returns the exit status.
pub fn report(error: &Error) -> ExitCode {
    let label = match error {
        Error::Stopped { .. } => style("stopped:").yellow(),
        _ => style("error:").red(),
    };
    say(&format!("{} {error}", label.bold().for_stderr()));
    if let Some(hint) = error.hint() {
        say(&format!(
            "{} {}",
            style("hint:").cyan().bold().for_stderr(),
            printable(hint)
        ));
    }
    ExitCode::from(error.exit_code())
}

/// A line on stderr. Nobody is left to tell where stderr is closed.
fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
