// SPDX-License-Identifier: GPL-2.0

//! A pseudo-terminal in which a test runs a program, types, and reads the screen as a user does.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use rustix::{
    io::dup,
    process::{kill_process, Pid, Signal},
    pty::{grantpt, ioctl_tiocgptpeer, openpt, unlockpt, OpenptFlags},
    termios::{tcgetattr, tcsetwinsize, LocalModes, Winsize},
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal in which a program runs.
pub struct Terminal {
    keyboard: File,
    line: File,
    screen: Arc<Mutex<vt100::Parser>>,
    program: Child,
}

impl Terminal {
    /// Starts a program, with these arguments and variables, on 24 lines of 80 columns.
    ///
    /// # Errors
    ///
    /// There is no terminal to be had, or no `setsid`.
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let line = File::from(ioctl_tiocgptpeer(&master, flags)?);
        tcsetwinsize(&line, window(24, 80))?;

        // It makes this the program's controlling terminal, which tells it of changes of size.
        let program = Command::new("setsid")
            .arg("-c")
            .arg(program)
            .args(arguments)
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(line.try_clone()?)
            .stdout(line.try_clone()?)
            .stderr(line.try_clone()?)
            .spawn()
            .context("cannot run setsid")?;

        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 80, 0)));
        let mut output = File::from(dup(&master)?);
        let shown = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when nobody has the terminal any more.
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                locked(&shown).process(&bytes[..len]);
            }
        });
        Ok(Self {
            keyboard: master.into(),
            line,
            screen,
            program,
        })
    }

    /// Waits until the screen is as told.
    ///
    /// # Errors
    ///
    /// It is not after a minute; says what is on the screen instead of `what`.
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            let screen = locked(&self.screen).screen().clone();
            if is_so(&screen) {
                return Ok(());
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "no {what} on the screen:\n{}",
                screen.contents()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a text on the screen.
    ///
    /// # Errors
    ///
    /// It is not there after a minute.
    pub fn wait_for_text(&self, text: &str) -> Result<()> {
        self.wait_for(text, |screen| screen.contents().contains(text))
    }

    /// Types.
    ///
    /// # Errors
    ///
    /// The terminal takes no more.
    pub fn press(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.keyboard.write_all(keys)?)
    }

    /// Makes the terminal larger or smaller.
    ///
    /// # Errors
    ///
    /// The terminal cannot be so large.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        // First the one that understands what comes, then the one that is told to send it.
        locked(&self.screen).set_size(rows, columns);
        Ok(tcsetwinsize(&self.line, window(rows, columns))?)
    }

    /// Sends the program a signal.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.program), signal)?)
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    ///
    /// It still runs after a minute.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.program.try_wait()? {
                return Ok(status);
            }
            ensure!(start.elapsed() < PATIENCE, "the program does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether what is typed is shown and comes in lines, and ^C is a signal.
    ///
    /// # Errors
    ///
    /// The terminal does not tell.
    pub fn is_cooked(&self) -> Result<bool> {
        let modes = tcgetattr(&self.line)?.local_modes;
        Ok(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn locked(screen: &Mutex<vt100::Parser>) -> MutexGuard<'_, vt100::Parser> {
    // Whoever panicked was done with it.
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
