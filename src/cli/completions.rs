//! `cipherpet completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Arguments, output};
use crate::error::Result;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet completions bash > ~/.local/share/bash-completion/completions/cipherpet
  cipherpet completions zsh > ~/.zfunc/_cipherpet
  cipherpet completions fish > ~/.config/fish/completions/cipherpet.fish

Make the folder first; for zsh it must stand in fpath. Then open a new shell.")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn completions(arguments: &CompletionsArguments) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    generate(arguments.shell, &mut command, name, &mut script);
    output::print_text(&String::from_utf8_lossy(&script))
}
