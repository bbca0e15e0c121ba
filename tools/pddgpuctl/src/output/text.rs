// SPDX-License-Identifier: GPL-2.0

//! How names, numbers of things and addresses are written.

use std::fmt::Display;

/// The name of a process without characters that a terminal would take for commands. A process may
/// give itself any name.
pub fn printable(name: &str) -> String {
    name.replace(char::is_control, "?")
}

/// Writes how many there are of something. Its plural is made with an `s`.
pub fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Writes a value, or `-` where there is none.
pub fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Writes a GPU address, or `-` where there is none.
pub fn address(address: Option<u64>) -> String {
    or_dash(address.map(|address| format!("{address:#013x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_command_no_terminal() {
        assert_eq!(printable("a\x1b[2J\n\u{9b}b"), "a?[2J??b");
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(plural(1, "buffer"), "1 buffer");
        assert_eq!(plural(0, "buffer"), "0 buffers");
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        assert_eq!(or_dash(Some(4)), "4");
        assert_eq!(address(None), "-");
        assert_eq!(address(Some(0x10_0000)), "0x00000100000");
    }
}
