//! The `cipherpet` command: parse, set up, do, report.

use std::process::ExitCode;

use cipherpet::cli::{Arguments, Session, report};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome =
        Session::begin(&arguments.common).and_then(|session| session.execute(&arguments.command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}
