//! `cipherpet man`: the help of every command as manual pages.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{Arguments, Session};
use crate::atomic;
use crate::error::{Error, Result};

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: cipherpet man --out ~/.local/share/man/man1

Then `man cipherpet` shows the tool, and `man cipherpet-run` a command.")]
pub struct ManArguments {
    /// The folder to write the pages into; it is made where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn man(arguments: &ManArguments, session: &Session) -> Result<()> {
    let out = &arguments.out;
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let mut tool = Arguments::command();
    tool.build(); // gives the commands the options and the version that all of them have
    let commands = tool
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut written = 0;
    for command in commands.chain([&tool]) {
        write_page(command.clone(), out)?;
        written += 1;
    }
    session.note(&format!("{written} manual pages: {}", out.display()));
    Ok(())
}

fn write_page(command: clap::Command, out: &Path) -> Result<()> {
    let page = Man::new(command);
    let path = out.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).map_err(Error::io("write", &path))?;
    atomic::write(&path, &text)
}
