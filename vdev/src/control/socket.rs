// SPDX-License-Identifier: GPL-2.0

//! The control socket: lines of JSON that data may follow, any number of clients, a thread for
//! each.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use anyhow::{ensure, Result};

use crate::control::requests::{announced, answer, Response, DATA_MAX, PATTERN_MAX};
use crate::device::SharedDevice;

/// Bytes of the longest request line: a pattern in hexadecimal, and what stands around it.
const LINE_MAX: u64 = 2 * PATTERN_MAX + 4096;

/// Serves clients on threads of their own, for as long as the process lives.
pub fn serve(listener: UnixListener, device: SharedDevice) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let device = device.clone();
            match stream {
                Ok(stream) => {
                    thread::spawn(move || serve_client(&stream, &device));
                }
                Err(error) => eprintln!("pddgpu-vdev: a control client was not accepted: {error}"),
            }
        }
    });
}

/// Answers a client until it goes, or sends what is too long to be read for nothing.
fn serve_client(stream: &UnixStream, device: &SharedDevice) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let mut data = Vec::new();
    loop {
        let (response, in_step) = match receive(&mut reader, &mut line, &mut data) {
            Ok(true) => (answer(device, &line, &data), true),
            Ok(false) => return,
            Err(error) => (Response::refusal(&error), false),
        };
        if send(stream, &response).is_err() || !in_step {
            return;
        }
    }
}

/// Receives a request: a line, and the data that it announces. False where there is none any more.
/// After an error it is not known where the next request begins.
fn receive(reader: &mut impl BufRead, line: &mut Vec<u8>, data: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    data.clear();
    let len = reader.take(LINE_MAX).read_until(b'\n', line)?;
    ensure!(
        line.ends_with(b"\n") || (len as u64) < LINE_MAX,
        "the line is too long"
    );
    let bytes = announced(line);
    ensure!(
        bytes <= DATA_MAX,
        "bytes: at most {DATA_MAX} in one request"
    );
    reader.take(bytes).read_to_end(data)?;
    Ok(len > 0)
}

fn send(mut stream: &UnixStream, response: &Response) -> io::Result<()> {
    stream.write_all(response.line.as_bytes())?;
    stream.write_all(&response.data)
}
