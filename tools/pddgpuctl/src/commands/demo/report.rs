// SPDX-License-Identifier: GPL-2.0

//! What the steps showed and which of them passed.

use anyhow::Result;
use serde::Serialize;

use crate::output::table::Table;

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

    /// Runs one step. An error fails this step only.
    pub fn step(&mut self, name: &str, run: impl FnOnce(&mut Notes) -> Result<()>) {
        if !self.quiet {
            println!("{}. {name}", self.steps.len() + 1);
        }
        let mut notes = Notes {
            quiet: self.quiet,
            ..Default::default()
        };
        let error = run(&mut notes).err().map(|error| format!("{error:#}"));
        if !self.quiet {
            match &error {
                Some(error) => println!("   FAILED: {error}\n"),
                None => println!("   ok\n"),
            }
        }
        self.steps.push(Step {
            name: name.to_owned(),
            passed: error.is_none(),
            notes,
            error,
        });
    }

    /// Whether all steps passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.passed)
    }

    /// Prints which steps passed.
    pub fn print_summary(&self) {
        println!("Summary");
        for step in &self.steps {
            println!(
                "   {:<6}  {}",
                if step.passed { "ok" } else { "FAILED" },
                step.name
            );
            for what in &step.notes.left_out {
                println!("           left out: {what}");
            }
        }
        let passed = self.steps.iter().filter(|step| step.passed).count();
        println!("{passed} of {} steps passed.", self.steps.len());
    }
}

impl Notes {
    /// Adds a line.
    pub fn add(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.quiet {
            println!("   {note}");
        }
        self.notes.push(note);
    }

    /// Adds the lines of a table.
    pub fn table(&mut self, table: &Table) {
        table.lines().for_each(|line| self.add(line));
    }

    /// Adds a check that cannot be done on this machine.
    pub fn add_left_out(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.quiet {
            println!("   left out: {what}");
        }
        self.left_out.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_report_and_no_other_step() {
        let mut report = Report::new(true);
        report.step("good", |notes| {
            notes.add("fine");
            Ok(())
        });
        assert!(report.passed());
        report.step("bad", |_| anyhow::bail!("broken"));
        report.step("good again", |_| Ok(()));
        assert!(!report.passed());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["steps"][0]["notes"][0], "fine");
        assert_eq!(json["steps"][1]["error"], "broken");
        assert_eq!(json["steps"][2]["passed"], true);
    }
}
