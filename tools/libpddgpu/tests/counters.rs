// SPDX-License-Identifier: GPL-2.0

//! Every counter of the driver's header is in the library's tables, and every counter of the tables
//! is in the documentation.

use std::fs;

use pddgpu::{CounterTable, Description, MemoryStats};

const HEADER: &str = "include/uapi/drm/pddgpu_drm.h";
const DOCUMENTATION: &str = "docs/statistics.md";
const CHAPTER: &str = "\n## Counters\n";
const TABLES: &str = "tools/libpddgpu/src/statistics/";

/// The structure in the header that all others are part of.
const ROOT: &str = "drm_pddgpu_query_memory_stats";

/// The structure in the header whose fields the library has in the structure of all counters.
const INFO: &str = "pddgpu_memory_stats_info";

/// Fields that say what the counters beside them are about.
const KEYS: [&str; 6] = ["domain", "flags", "from", "to", "error", "pad"];

/// Counters of which there are several, and which are therefore no single figures.
const ARRAYS: [&str; 1] = ["histogram"];

fn read(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The type and the name of each field of a structure, without the lengths of arrays.
fn fields<'a>(header: &'a str, structure: &str) -> Vec<(&'a str, &'a str)> {
    let start = format!("\nstruct {structure} {{\n");
    let (_, rest) = header
        .split_once(&start)
        .unwrap_or_else(|| panic!("there is no struct {structure} in {HEADER}"));
    let (body, _) = rest.split_once("\n};").expect("a structure ends");
    body.lines()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|line| !line.contains('*'))
        .map(|line| {
            let (kind, name) = line.rsplit_once(' ').expect("a field has a type");
            let name = name.split('[').next().unwrap_or(name);
            (kind, name)
        })
        .collect()
}

/// Checks that all counters of a structure, and of those that are part of it, are in the tables.
fn check_structure(header: &str, tables: &[CounterTable], structure: &str) {
    let table_structure = if structure == INFO { ROOT } else { structure };
    let table = tables
        .iter()
        .find(|table| table.structure == table_structure)
        .unwrap_or_else(|| panic!("struct {structure} of {HEADER} has no counters! in {TABLES}"));
    let is_counter = |name| table.counters.iter().any(|counter| counter.name == name);
    for (kind, name) in fields(header, structure) {
        match kind.strip_prefix("struct ") {
            Some(part) => check_structure(header, tables, part),
            None => assert!(
                is_counter(name) || KEYS.contains(&name) || ARRAYS.contains(&name),
                "{name} of struct {structure} in {HEADER} is no counter of the library: add a line \
                 for it to the counters! of that structure in {TABLES}"
            ),
        }
    }
}

#[test]
fn every_field_of_the_header_is_in_the_tables() {
    let header = read(HEADER);
    check_structure(&header, &MemoryStats::counter_tables(), ROOT);
}

/// The rows that the documentation has for counters: all of its chapter on them but the heads of
/// tables.
fn documented_rows(documentation: &str) -> Vec<&str> {
    let (_, rest) = documentation
        .split_once(CHAPTER)
        .unwrap_or_else(|| panic!("{DOCUMENTATION} has no chapter '{}'", CHAPTER.trim()));
    let chapter = rest.split("\n## ").next().unwrap_or(rest);
    let lines = chapter.lines();
    lines.filter(|line| line.starts_with("| `")).collect()
}

#[test]
fn the_documentation_has_the_rows_of_the_tables() {
    let row = |counter: &Description| {
        format!(
            "| `{}` | {} | {} |",
            counter.name, counter.unit, counter.meaning
        )
    };
    let expected: Vec<String> = MemoryStats::counter_tables()
        .iter()
        .flat_map(|table| table.counters.iter().map(row))
        .collect();
    let documentation = read(DOCUMENTATION);
    let documented = documented_rows(&documentation);
    for row in &expected {
        let known = documented.contains(&row.as_str());
        assert!(
            known,
            "the chapter of counters in {DOCUMENTATION} lacks this row:\n{row}"
        );
    }
    for row in &documented {
        let known = expected.iter().any(|expected| expected == row);
        assert!(
            known,
            "{DOCUMENTATION} has a row that no counter has:\n{row}"
        );
    }
    assert_eq!(
        documented, expected,
        "the rows are not in the order of the counters"
    );
}
