//! No command writes over a file that another of its arguments names, or takes `-` for the name of a file.
//!
//! In: the arguments of a command as clap has them. Out: what is wrong with them. Looks at the paths of arguments alone, not at
//! files that an experiment or a run names. Writes nothing.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

/// The arguments that name a file to write.
const WRITTEN: [&str; 3] = ["out", "index", "neighbours"];

/// What many tools take for stdin or stdout. A file of that name is hardly what was meant.
const DASH: &str = "-";

/// Says where an argument of the subcommand is `-`, or names a file to write that another one names too.
pub fn fault(command: &Command, matches: &ArgMatches) -> Option<String> {
    let (name, matches) = matches.subcommand()?;
    let arguments = command.find_subcommand(name)?.get_arguments();
    let paths = |argument: &Arg| -> Vec<PathBuf> {
        let values = matches.try_get_many::<PathBuf>(argument.get_id().as_str());
        // An argument that holds something else than paths.
        let values = values.ok().flatten().into_iter().flatten();
        values.cloned().collect()
    };
    let named: Vec<(&Arg, Vec<PathBuf>)> = arguments.map(|one| (one, paths(one))).collect();
    let is_written = |argument: &Arg| WRITTEN.contains(&argument.get_id().as_str());
    let is_dash = |paths: &[PathBuf]| paths.iter().any(|path| path == Path::new(DASH));
    if let Some((argument, _)) = named.iter().find(|(_, paths)| is_dash(paths)) {
        let stream = match is_written(argument) {
            true => "/dev/stdout",
            false => "/dev/stdin",
        };
        return Some(format!(
            "{argument}: `-` is no file here: write {stream}, or ./- for a file of that name"
        ));
    }
    for (written, out) in named.iter().filter(|(argument, _)| is_written(argument)) {
        let others = named.iter().filter(|(other, _)| other != written);
        for (other, path) in
            others.flat_map(|(other, paths)| paths.iter().map(move |path| (other, path)))
        {
            if out.iter().any(|out| is_same_file(out, path)) {
                return Some(format!(
                    "{written} names {}, and so does {other}: give the file to write another name",
                    path.display()
                ));
            }
        }
    }
    None
}

/// The error of the subcommand for a fault, with its own usage.
pub fn error(command: &mut Command, matches: &ArgMatches, fault: String) -> clap::Error {
    command.build();
    let name = matches.subcommand_name().unwrap_or_default();
    match command.find_subcommand_mut(name) {
        Some(subcommand) => subcommand.error(ErrorKind::ArgumentConflict, fault),
        None => command.error(ErrorKind::ArgumentConflict, fault),
    }
}

/// Whether both paths lead to one file, there or not yet. A pipe may be read and written, and a folder is no file.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let is_file = |path: &Path| path.is_file() || !path.exists();
    let whole = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .ok()
    };
    is_file(a) && whole(a).is_some_and(|a| Some(a) == whole(b))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Arguments;

    fn fault_of(words: &[&str]) -> Option<String> {
        let mut command = Arguments::command();
        let words = [&["cipherpet"], words].concat();
        let matches = command.try_get_matches_from_mut(words).expect("usage");
        fault(&command, &matches)
    }

    #[test]
    fn a_file_that_is_read_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("a.tsv"), "1\t2\n").expect("a small file");
        let (read, again, other) = (path("a.tsv"), path("./a.tsv"), path("b.tsv"));
        let said = fault_of(&["predict", "run", "--pairs", &read, "--out", &again]);
        let said = said.expect("one file twice");
        assert!(
            said.starts_with("--out <FILE> names ") && said.contains("and so does --pairs <FILE>"),
            "{said}"
        );
        assert!(fault_of(&["count", &other, &read, "--out", &read]).is_some());
        assert!(fault_of(&["slurm", &read, "--time", "1:00:00", "--out", &read]).is_some());
        assert_eq!(fault_of(&["count", &read, "--out", &other]), None);
        let one = ["hash", "--vectors", &read, "--out", &other, "--index"];
        assert!(fault_of(&[&one[..], &[&other]].concat()).is_some());
        // What is no file is no loss.
        assert_eq!(
            fault_of(&["count", "/dev/null", "--out", "/dev/null"]),
            None
        );
        assert_eq!(fault_of(&["board"]), None);
    }

    #[test]
    fn a_dash_is_no_name_of_a_file() {
        let said = |words: &[&str]| fault_of(words).unwrap_or_default();
        let written = said(&["predict", "run", "--pairs", "a.tsv", "--out", "-"]);
        let expected =
            "--out <FILE>: `-` is no file here: write /dev/stdout, or ./- for a file of that name";
        assert_eq!(written, expected);
        let read = said(&["predict", "run", "--pairs", "-", "--out", "a.csv"]);
        assert!(read.contains("write /dev/stdin, or ./-"), "{read}");
        let named = ["predict", "run", "--pairs", "./-", "--out", "a.csv"];
        assert_eq!(fault_of(&named), None);
    }
}
