// SPDX-License-Identifier: GPL-2.0

//! The standard output, which may be a pipe that nobody reads, or a full disk.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
};

use anyhow::Result;

/// Why nothing more can be printed.
#[derive(Debug)]
pub struct StdoutError(io::Error);

impl StdoutError {
    /// Whether the reader of a pipe has gone, as `head` does. It knows that, so nobody is told.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<io::Error> for StdoutError {
    fn from(cause: io::Error) -> Self {
        Self(cause)
    }
}

impl fmt::Display for StdoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to the standard output: {}", self.0)
    }
}

impl Error for StdoutError {}

/// Prints a text as it is, now.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(StdoutError)?;
    Ok(())
}

/// Prints lines, each with its end.
pub fn print_lines(lines: impl IntoIterator<Item = String>) -> Result<()> {
    print(
        &lines
            .into_iter()
            .fold(String::new(), |text, line| text + &line + "\n"),
    )
}
