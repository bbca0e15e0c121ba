// SPDX-License-Identifier: GPL-2.0

//! The format of Prometheus, which node_exporter reads.

/// Makes it of the format of OpenMetrics. There a counter's name has no `_total` where it is
/// described, and there are lines that Prometheus's format has not.
pub fn prometheus_text(openmetrics: &str) -> String {
    let is_counter = |name: &str| {
        let line = format!("# TYPE {name} counter");
        openmetrics.lines().any(|other| other == line)
    };
    let mut text = String::new();
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let total = if is_counter(name) { "_total" } else { "" };
                text += &format!("# {what} {name}{total} {rest}\n");
            }
            (Some("#"), ..) => {}
            _ => text += &format!("{line}\n"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_their_whole_name() {
        let openmetrics = "# HELP a_bytes Of a.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n\
                           a_bytes{x=\"y z\"} 1\n# HELP b Of b.\n# TYPE b counter\nb_total 2\n# EOF\n";
        assert_eq!(
            prometheus_text(openmetrics),
            "# HELP a_bytes Of a.\n# TYPE a_bytes gauge\na_bytes{x=\"y z\"} 1\n\
             # HELP b_total Of b.\n# TYPE b_total counter\nb_total 2\n"
        );
    }
}
