// SPDX-License-Identifier: GPL-2.0

//! `pddgpu-manual FOLDER`: writes the manual pages and shell completions of the programs.
//!
//! They are made of the same declarations that read the command lines. The pages go to `man1` in
//! the folder, and the completions for bash, zsh and fish to `completions`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// The shells that completions are written for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// The command lines of all programs.
fn programs() -> [Command; 2] {
    [
        pddgpuctl::Arguments::command(),
        pddgpu_vdev::Options::command(),
    ]
}

/// Writes the pages and the completions of a program.
fn write(program: &Command, folder: &Path) -> Result<()> {
    let (pages, completions) = (folder.join("man1"), folder.join("completions"));
    for folder in [&pages, &completions] {
        let path = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("cannot create {path}"))?;
    }
    clap_mangen::generate_to(program.clone(), &pages)?;
    for shell in SHELLS {
        let name = program.get_name();
        clap_complete::generate_to(shell, &mut program.clone(), name, &completions)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: pddgpu-manual FOLDER")?;
    for program in programs() {
        write(&program, &folder)?;
    }
    println!("{}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that a command has a page that names all its options, and its subcommands have too.
    fn check_pages(command: &Command, page: &str, pages: &Path) {
        let path = pages.join(format!("{page}.1"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for option in command.get_arguments().filter_map(|arg| arg.get_long()) {
            let option = option.replace('-', "\\-");
            assert!(
                text.contains(&format!("\\-\\-{option}")),
                "{page}: {option}"
            );
        }
        for subcommand in command.get_subcommands() {
            check_pages(
                subcommand,
                &format!("{page}-{}", subcommand.get_name()),
                pages,
            );
        }
    }

    #[test]
    fn each_command_has_a_page_with_its_options() {
        let folder = tempfile::tempdir().unwrap();
        for program in programs() {
            write(&program, folder.path()).unwrap();
            check_pages(&program, program.get_name(), &folder.path().join("man1"));
        }
    }

    #[test]
    fn each_program_has_completions_for_each_shell() {
        let folder = tempfile::tempdir().unwrap();
        for program in programs() {
            write(&program, folder.path()).unwrap();
        }
        let files = fs::read_dir(folder.path().join("completions")).unwrap();
        assert_eq!(files.count(), programs().len() * SHELLS.len());
    }
}
