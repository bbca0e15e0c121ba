// SPDX-License-Identifier: GPL-2.0

//! What the steps showed and which of them passed.

use anyhow::Result;
use serde::Serialize;

use crate::output::{
    stdout::{self, StdoutError},
    table::Table,
};

/// What the steps showed. It is printed meanwhile, or not at all if it is to become JSON.
#[derive(Serialize)]
pub struct Report {
    steps: Vec<Step>,
    #[serde(skip)]
    quiet: bool,
}

#[derive(Serialize)]
struct Step {
    name: String,
    passed: bool,
    #[serde(flatten)]
    notes: Notes,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What one step showed.
#[derive(Default, Serialize)]
pub struct Notes {
    notes: Vec<String>,
    /// Checks that cannot be done on this machine.
    left_out: Vec<String>,
    #[serde(skip)]
    quiet: bool,
}

impl Report {
    /// A report without steps. `quiet` keeps them from being printed.
    pub fn new(quiet: bool) -> Self {
        Self {
            steps: Vec::new(),
            quiet,
        }
    }

    /// Runs one step. An error fails this step only, unless it is that nothing can be printed.
    pub fn step(&mut self, name: &str, run: impl FnOnce(&mut Notes) -> Result<()>) -> Result<()> {
        let mut notes = Notes {
            quiet: self.quiet,
            ..Default::default()
        };
        notes.print(&format!("{}. {name}", self.steps.len() + 1))?;
        let error = match run(&mut notes) {
            Err(error) if error.is::<StdoutError>() => return Err(error),
            result => result.err().map(|error| format!("{error:#}")),
        };
        match &error {
            Some(error) => notes.print(&format!("   FAILED: {error}\n"))?,
            None => notes.print("   ok\n")?,
        }
        self.steps.push(Step {
            name: name.to_owned(),
            passed: error.is_none(),
            notes,
            error,
        });
        Ok(())
    }

    /// Whether all steps passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.passed)
    }

    /// Prints which steps passed.
    pub fn print_summary(&self) -> Result<()> {
        let mut lines = vec!["Summary".to_owned()];
        for step in &self.steps {
            let result = if step.passed { "ok" } else { "FAILED" };
            lines.push(format!("   {result:<6}  {}", step.name));
            let left_out = step.notes.left_out.iter();
            lines.extend(left_out.map(|what| format!("           left out: {what}")));
        }
        let passed = self.steps.iter().filter(|step| step.passed).count();
        lines.push(format!("{passed} of {} steps passed.", self.steps.len()));
        stdout::print_lines(lines)
    }
}

impl Notes {
    /// Prints a line, unless all is to become JSON.
    fn print(&self, line: &str) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        stdout::print_lines([line.to_owned()])
    }

    /// Adds a line.
    pub fn add(&mut self, note: impl Into<String>) -> Result<()> {
        let note = note.into();
        self.print(&format!("   {note}"))?;
        self.notes.push(note);
        Ok(())
    }

    /// Adds the lines of a table.
    pub fn table(&mut self, table: &Table) -> Result<()> {
        table.lines().try_for_each(|line| self.add(line))
    }

    /// Adds a check that cannot be done on this machine.
    pub fn add_left_out(&mut self, what: impl Into<String>) -> Result<()> {
        let what = what.into();
        self.print(&format!("   left out: {what}"))?;
        self.left_out.push(what);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_report_and_no_other_step() {
        let mut report = Report::new(true);
        let step = report.step("good", |notes| notes.add("fine"));
        step.unwrap();
        assert!(report.passed());
        report.step("bad", |_| anyhow::bail!("broken")).unwrap();
        report.step("good again", |_| Ok(())).unwrap();
        assert!(!report.passed());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["steps"][0]["notes"][0], "fine");
        assert_eq!(json["steps"][1]["error"], "broken");
        assert_eq!(json["steps"][2]["passed"], true);
    }
}
