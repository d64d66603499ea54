//! The `cipherpet` command: parse, set up, do, report.

use std::process::ExitCode;

use cipherpet::cli::{Arguments, Session, report};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let outcome =
        Session::begin(&arguments.common).and_then(|session| session.execute(&arguments.command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}
