// SPDX-License-Identifier: GPL-2.0

//! `pddgpuctl metrics`: all figures for Prometheus.

mod collector;
mod format;
mod sample;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{anyhow, Context, Result};
use clap::Args;
use pddgpu::Card;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::output::{json, stdout};
use collector::Figures;
use format::prometheus_text;
use sample::Sample;

/// What the answer to a scrape is.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Args)]
pub struct Arguments {
    /// Write the metrics to this file, for the textfile collector of node_exporter.
    ///
    /// They are in the format of Prometheus. The file appears whole, or is replaced as a whole.
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub textfile: Option<PathBuf>,

    /// Answer scrapes at this address, such as 127.0.0.1:9810, until the process is stopped.
    ///
    /// The path is /metrics. Without root, other clients are one figure.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

pub fn run(card: &Card, arguments: &Arguments, json: bool) -> Result<()> {
    if let Some(address) = &arguments.listen {
        return serve(card, address);
    }
    if json {
        return json::print(&Sample::take(card)?);
    }
    let text = openmetrics(card)?;
    match &arguments.textfile {
        Some(path) => replace(path, &prometheus_text(&text)),
        None => stdout::print(&text),
    }
}

/// All figures of this moment, in the format of OpenMetrics.
fn openmetrics(card: &Card) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures::of(Sample::take(card)?)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Writes a file so that its reader sees the one before or the whole new one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let mut name = path
        .file_name()
        .context("--textfile: no name of a file")?
        .to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text).with_context(|| new.display().to_string())?;
    fs::rename(&new, path).with_context(|| path.display().to_string())
}

fn serve(card: &Card, address: &str) -> Result<()> {
    let server = Server::http(address).map_err(|error| anyhow!("{address}: {error}"))?;
    for request in server.incoming_requests() {
        // Who asked may have gone.
        let _ = answer(card, request);
    }
    Ok(())
}

fn answer(card: &Card, request: Request) -> Result<()> {
    if request.method() != &Method::Get || request.url() != "/metrics" {
        let response = Response::from_string("the metrics are at /metrics\n");
        return Ok(request.respond(response.with_status_code(404))?);
    }
    let response = match openmetrics(card) {
        Ok(text) => {
            let header = Header::from_bytes("Content-Type", OPENMETRICS);
            let header = header.map_err(|()| anyhow!("no header"))?;
            Response::from_string(text).with_header(header)
        }
        Err(error) => Response::from_string(format!("{error:#}\n")).with_status_code(500),
    };
    Ok(request.respond(response)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let path = std::env::temp_dir().join(format!("pddgpu-{}.prom", std::process::id()));
        for text in ["first\n", "second\n"] {
            replace(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(!path.with_extension("prom.new").exists());
        fs::remove_file(path).unwrap();
        assert!(replace(Path::new("/"), "").is_err());
    }
}
