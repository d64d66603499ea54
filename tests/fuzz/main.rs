//! Damaged files for everything that reads files: each is read or refused, and nothing panics.
//!
//! `cargo test --release --test fuzz` gives every reader the same inputs each time. For longer, with others that are new each time:
//! `CIPHERPET_FUZZ_MINUTES=60 cargo test --release --test fuzz -- --nocapture`. An input that fails is named `reader:number`, stays in
//! the folder that Cargo keeps for tests, and comes again with `CIPHERPET_FUZZ_CASE=reader:number`. An input that kills the process or
//! never ends is one of those named in `cipherpet-fuzz-*/worker-*/case` where inputs are laid ([`scratch`]).
#![expect(clippy::print_stdout, reason = "what was tried is for people to read")]

mod case;
mod input;
mod models;
mod mutate;
mod pretraining;
mod reader;
mod runs;
mod tables;
mod tally;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use case::{Damaged, Verdict, lay};
use reader::Reader;
use tally::{Failure, Tally};

/// The name of the threads that read damaged files.
const WORKER: &str = "fuzz";

/// What has panicked last, and where.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn readers() -> Vec<Reader> {
    let mut readers = tables::readers();
    readers.extend(models::readers());
    readers.extend(runs::readers());
    readers.extend(pretraining::readers());
    readers
}

/// Where inputs that fail are left.
fn left() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz")
}

/// Where inputs are laid: in memory where the system offers that, as a disk is most of the time.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.join(format!("cipherpet-fuzz-{}", std::process::id())),
        false => left(),
    }
}

/// Panics of the threads at work, and of those that they set to work, which have no name, are kept for the report.
fn keep_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match std::thread::current().name() {
        None | Some(WORKER) => *LAST_PANIC.lock().expect("no panic here") = panic.to_string(),
        Some(_) => before(panic),
    }));
}

/// Which inputs are tried: those with a number, round by round, each reader its share of every round.
struct Schedule<'a> {
    readers: &'a [Reader],
    next: AtomicU64,
    /// Further rounds begin until then; none after the first where there is no end.
    end: Option<Instant>,
    /// The number of the first of them.
    further: u64,
}

impl Schedule<'_> {
    /// The next reader and the number of its input.
    fn next(&self) -> Option<(usize, u64)> {
        let round_length: u64 = self.readers.iter().map(|reader| reader.cases).sum();
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let (round, mut rest) = (at / round_length, at % round_length);
        if round > 0 && self.end.is_none_or(|end| Instant::now() >= end) {
            return None;
        }
        let reader = self.readers.iter().position(|reader| {
            let is_here = rest < reader.cases;
            rest -= if is_here { 0 } else { reader.cases };
            is_here
        })?;
        let round = if round == 0 { 0 } else { self.further + round };
        Some((reader, round * self.readers[reader].cases + rest))
    }
}

/// Tries inputs in a folder of its own until there are no more.
fn work(schedule: &Schedule, folder: &Path, tally: &Mutex<Tally>) {
    let mut laid = HashSet::new();
    while let Some((index, number)) = schedule.next() {
        let reader = &schedule.readers[index];
        let own = folder.join(reader.name);
        if laid.insert(index) {
            lay(reader, &own);
        }
        let name = format!("{}:{number}", reader.name);
        std::fs::write(folder.join("case"), &name).expect("room for a name");
        let damaged = Damaged::new(schedule.readers, index, number);
        let begun = Instant::now();
        let verdict = damaged.read(reader, &own);
        let took = begun.elapsed();
        let failure = match &verdict {
            Verdict::Failed(reason) => Some(Failure::leave(&name, reason, &damaged, &left())),
            _ => None,
        };
        let mut tally = tally.lock().expect("no panic here");
        tally.add(index, &verdict, (&name, took), failure);
    }
}

/// The folder, empty.
fn fresh(folder: PathBuf) -> PathBuf {
    let _ = std::fs::remove_dir_all(&folder); // of an earlier run, if there was one
    std::fs::create_dir_all(&folder).expect("room for a folder");
    folder
}

fn try_all(readers: &[Reader], minutes: Option<f64>) -> Tally {
    let end = minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    // A round takes longer than a second: no round of another time comes again.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let schedule = Schedule {
        readers,
        next: AtomicU64::new(0),
        end,
        further: since.map_or(0, |since| since.as_secs()),
    };
    let tally = Mutex::new(Tally::new(readers));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let folder = fresh(scratch().join(format!("worker-{worker}")));
            let (schedule, tally) = (&schedule, &tally);
            let named = std::thread::Builder::new().name(WORKER.to_owned());
            let started = named.spawn_scoped(scope, move || {
                work(schedule, &folder, tally);
                std::fs::remove_dir_all(&folder).expect("it is there");
            });
            started.expect("a thread");
        }
    });
    tally.into_inner().expect("no panic here")
}

/// The one input that is asked for, and what became of it.
fn try_one(readers: &[Reader], name: &str) {
    let (reader, number) = name.split_once(':').expect("reader:number");
    let index = readers.iter().position(|known| known.name == reader);
    let (index, number) = (index.expect("a reader"), number.parse().expect("a number"));
    let folder = fresh(left().join("replay"));
    lay(&readers[index], &folder);
    let damaged = Damaged::new(readers, index, number);
    println!("{name} damages {}", damaged.name);
    match damaged.read(&readers[index], &folder) {
        Verdict::Accepted => println!("{name} was read"),
        Verdict::Refused(message) => println!("{name} was refused: {message}"),
        Verdict::Failed(reason) => {
            let failure = Failure::leave(name, &reason, &damaged, &left());
            panic!("{failure}");
        }
    }
}

/// Good files that are refused would test nothing.
fn require_good(readers: &[Reader]) {
    let refused = readers.iter().filter_map(|reader| {
        let folder = fresh(scratch().join("good"));
        let is_read = matches!(lay(reader, &folder), Verdict::Accepted);
        (!is_read).then(|| format!("{}: {:?}", reader.name, (reader.read)(&folder)))
    });
    let refused: Vec<String> = refused.collect();
    let _ = std::fs::remove_dir_all(scratch().join("good"));
    assert!(refused.is_empty(), "good files are refused: {refused:#?}");
}

#[test]
fn damaged_files_are_read_or_refused() {
    let readers = readers();
    if let Ok(name) = std::env::var("CIPHERPET_FUZZ_CASE") {
        return try_one(&readers, &name);
    }
    require_good(&readers);
    keep_panics();
    let minutes = std::env::var("CIPHERPET_FUZZ_MINUTES").ok();
    let minutes = minutes.map(|text| text.parse().expect("CIPHERPET_FUZZ_MINUTES is a number"));
    let tally = try_all(&readers, minutes);
    let _ = std::fs::remove_dir(scratch()); // stays where it holds inputs that failed
    println!("{tally}");
    assert!(!tally.has_failures(), "some inputs failed; see above");
}
