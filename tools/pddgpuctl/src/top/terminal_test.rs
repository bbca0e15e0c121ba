// SPDX-License-Identifier: GPL-2.0

//! Runs `top` in a pseudo-terminal and reads the screen, as its user does.
//!
//! The figures come from a script, so that no card is needed and the source may also fail. What runs
//! in the terminal is this test program once more, told to run `program()` only: an example or a
//! hidden option would put into the build, or into everybody's hands, what only this test needs.

use std::{
    env,
    fs::File,
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, Result};
use pddgpu::{Domain, Heap};
use rustix::{
    io::dup,
    process::{kill_process, Pid, Signal},
    pty::{grantpt, ioctl_tiocgptpeer, openpt, unlockpt, OpenptFlags},
    termios::{tcgetattr, tcsetwinsize, LocalModes, Winsize},
};

use super::source::{Sample, Source};

/// The program's name among the tests.
const PROGRAM: &str = "top::terminal_test::program";

/// The variable that says how the script ends.
const ENDING: &str = "PDDGPUCTL_TEST_ENDING";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// VRAM fills up by 1 MiB with each look; after some the script ends as told.
struct Script {
    looks: u64,
    ending: String,
}

impl Source for Script {
    fn sample(&mut self) -> Result<Sample> {
        self.looks += 1;
        match (self.looks, self.ending.as_str()) {
            (3.., "error") => bail!("the card is gone"),
            (3.., "panic") => panic!("a defect"),
            _ => {}
        }
        let mut sample = Sample {
            heaps: vec![Heap {
                domain: Domain::Vram,
                total: 64 << 20,
                usable: 64 << 20,
                used: self.looks << 20,
                reserved: 0,
                visible_total: 16 << 20,
                visible_used: 0,
            }],
            ..Default::default()
        };
        sample.stats.objects_live = self.looks;
        Ok(sample)
    }
}

#[test]
#[ignore = "the other tests run it, in a terminal of its own"]
fn program() {
    let script = Script {
        looks: 0,
        ending: env::var(ENDING).unwrap_or_default(),
    };
    super::show(script, "a script".into(), Duration::from_millis(100)).unwrap();
}

/// A terminal in which the program runs.
struct Terminal {
    keyboard: File,
    line: File,
    screen: Arc<Mutex<vt100::Parser>>,
    program: Child,
}

impl Terminal {
    fn start(ending: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let line = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        tcsetwinsize(&line, window(24, 80)).unwrap();
        let stdio = || line.try_clone().unwrap();

        // setsid makes it the program's controlling terminal, which tells it of changes of size.
        let program = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", PROGRAM, "--ignored", "--nocapture"])
            .env(ENDING, ending)
            // It would push the message that matters off the screen.
            .env("RUST_BACKTRACE", "0")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();

        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, 80, 0)));
        let mut output = File::from(dup(&master).unwrap());
        let shown = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when nobody has the terminal any more.
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..len]);
            }
        });
        Self {
            keyboard: master.into(),
            line,
            screen,
            program,
        }
    }

    /// Waits until the screen is as told.
    fn wait_for(&self, what: &str, mut is_so: impl FnMut(&vt100::Screen) -> bool) {
        let start = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().screen().clone();
            if is_so(&screen) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {what} on the screen:\n{}",
                screen.contents()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    fn resize(&self, rows: u16, columns: u16) {
        // First the one that understands what comes, then the one that is told to send it.
        self.screen.lock().unwrap().set_size(rows, columns);
        tcsetwinsize(&self.line, window(rows, columns)).unwrap();
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the program does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Looks whether the terminal is as a shell wants it.
    fn check_restored(&self) {
        self.wait_for("ordinary screen with a cursor", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

#[test]
fn figures_change_on_a_full_screen_until_q() {
    let mut terminal = Terminal::start("");
    terminal.wait_for("title", |screen| {
        screen.contents().starts_with("a script") && screen.alternate_screen()
    });
    let modes = tcgetattr(&terminal.line).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO));
    terminal.wait_for_text("4 MiB of 64 MiB");
    terminal.wait_for_text("6 MiB of 64 MiB");
    terminal.wait_for_text("q quits   every 0.1 s");
    terminal.press(b"x");
    terminal.wait_for_text("16 MiB of 64 MiB");

    terminal.press(b"q");
    assert!(terminal.wait_for_end().success());
    terminal.check_restored();
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let mut terminal = Terminal::start("");
    terminal.wait_for_text("q quits");
    terminal.resize(40, 120);
    terminal.wait_for("footer in the last line", |screen| {
        let last = screen.rows(0, 120).nth(39);
        last.is_some_and(|line| line.starts_with("q quits"))
    });
    terminal.press(b"q");
    assert!(terminal.wait_for_end().success());
    terminal.check_restored();
}

#[test]
fn control_c_ends_it_too() {
    let mut terminal = Terminal::start("");
    terminal.wait_for_text("q quits");
    terminal.press(b"\x03");
    assert!(terminal.wait_for_end().success());
    terminal.check_restored();
}

#[test]
fn a_signal_leaves_the_terminal_in_order() {
    let mut terminal = Terminal::start("");
    terminal.wait_for_text("q quits");
    let pid = Pid::from_child(&terminal.program);
    kill_process(pid, Signal::TERM).unwrap();
    terminal.wait_for_end();
    terminal.check_restored();
}

#[test]
fn errors_and_panics_leave_the_terminal_in_order_and_are_shown() {
    for (ending, message) in [("error", "the card is gone"), ("panic", "a defect")] {
        let mut terminal = Terminal::start(ending);
        assert!(!terminal.wait_for_end().success());
        terminal.check_restored();
        terminal.wait_for_text(message);
    }
}
