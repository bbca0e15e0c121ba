// SPDX-License-Identifier: GPL-2.0

//! The control socket: lines of JSON, any number of clients, a thread for each.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::control::answer;
use crate::device::SharedDevice;

/// Bytes of the longest request: a mebibyte of data in hexadecimal, and what stands around it.
const LINE_MAX: u64 = (2 << 20) + 4096;

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

/// Answers a client's lines until it goes, or sends a line that is too long to be a request.
fn serve_client(stream: &UnixStream, device: &SharedDevice) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => (),
        }
        let complete = line.ends_with(b"\n");
        let response = if complete || (line.len() as u64) < LINE_MAX {
            answer(device, &line)
        } else {
            String::from(r#"{"error":"the line is too long","ok":false}"#)
        };
        let sent = writer
            .write_all(response.as_bytes())
            .and_then(|()| writer.write_all(b"\n"));
        if sent.is_err() || !complete {
            return;
        }
    }
}
