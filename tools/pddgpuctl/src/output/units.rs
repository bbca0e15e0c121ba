// SPDX-License-Identifier: GPL-2.0

//! How sizes, times and other values are written and read.

use std::time::Duration;

use pddgpu::{Domains, Unit};

/// Units of sizes. Each is 1024 times the one before.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Writes bytes in the largest unit of which there is at least one. Parts of a unit are one
/// decimal, with `~` at the beginning where it is rounded.
pub fn size(bytes: u64) -> String {
    let power = (bytes.checked_ilog2().unwrap_or(0) / 10).min(UNITS.len() as u32 - 1);
    let unit = UNITS[power as usize];
    let one = 1u64 << (10 * power);
    if bytes % one == 0 {
        return format!("{} {unit}", bytes / one);
    }
    let about = if u128::from(bytes) * 10 % u128::from(one) == 0 {
        ""
    } else {
        "~"
    };
    format!("{about}{:.1} {unit}", bytes as f64 / one as f64)
}

/// Reads bytes, or another number with a unit: 4096, 64K, 1M, 2GiB.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| format!("'{text}' is no size"))?;
    let unit = &text[digits.len()..];
    let is = |name: &str| unit.eq_ignore_ascii_case(name);
    let power = UNITS
        .iter()
        .position(|name| is(name) || is(&name[..1]) || unit.is_empty())
        .ok_or_else(|| format!("'{unit}' is no unit: there are K, M, G and T"))?;
    number
        .checked_mul(1 << (10 * power))
        .ok_or_else(|| format!("{text} is too much"))
}

/// As [`parse_size`], for a buffer, which has at least one byte.
pub fn parse_buffer_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("a buffer has at least 1 byte".to_owned()),
        size => Ok(size),
    }
}

/// As [`parse_size`], for the bytes of a copy or a fill.
pub fn parse_transfer_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size if size == 0 || size % 4 != 0 => Err(format!("{text} is no multiple of 4 above 0")),
        size => Ok(size),
    }
}

/// As [`parse_size`], for an alignment: 0, or a power of two.
pub fn parse_alignment(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size if size > 0 && !size.is_power_of_two() => Err(format!("{text} is no power of two")),
        size => Ok(size),
    }
}

/// Reads the domains of a buffer, of which there is at least one.
pub fn parse_domains(text: &str) -> Result<Domains, String> {
    let domains: Domains = text.parse()?;
    if domains.is_empty() {
        return Err("name at least one of vram, gtt, cpu".to_owned());
    }
    Ok(domains)
}

/// Writes how many ns an operation took, in the largest unit of which there is at least one.
pub fn duration(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns} ns");
    }
    // A number that would be rounded to 1000.0 is written in the next unit.
    let (unit, one) = [("µs", 1e3), ("ms", 1e6)]
        .into_iter()
        .find(|(_, one)| (ns as f64) < 999.95 * one)
        .unwrap_or(("s", 1e9));
    format!("{:.1} {unit}", ns as f64 / one)
}

/// Writes how many ms old something is, in the two largest units that apply.
pub fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Reads a number of seconds from 0.1 to 86400, which is a day.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' is no number of seconds"))?;
    if !(0.1..=86400.0).contains(&seconds) {
        return Err(format!("{text} is not between 0.1 and 86400 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Writes the value of a counter.
pub fn value(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Bytes => size(value),
        Unit::Nanoseconds => duration(value),
        Unit::Count => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_say_when_they_are_rounded() {
        for (bytes, text) in [
            (0, "0 B"),
            (4095, "~4.0 KiB"),
            (4096, "4 KiB"),
            (1 << 20, "1 MiB"),
            (3 << 29, "1.5 GiB"),
            ((1 << 30) - 4096, "~1024.0 MiB"),
            (1 << 44, "16 TiB"),
            (u64::MAX, "~16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65536),
            ("1m", 1 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in ["", "M", "1X", "-1", "1.5M", "99999999T", "1KB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_no_buffer_can_have_is_refused_with_what_it_can() {
        assert_eq!(parse_buffer_size("1"), Ok(1));
        assert!(parse_buffer_size("0K").unwrap_err().contains("at least 1"));
        assert_eq!(parse_alignment("0"), Ok(0));
        assert!(parse_alignment("3K").unwrap_err().contains("power of two"));
        assert_eq!(parse_transfer_size("8"), Ok(8));
        for text in ["0", "6"] {
            assert!(
                parse_transfer_size(text).unwrap_err().contains("of 4"),
                "{text}"
            );
        }
        assert_eq!(parse_domains("gtt"), Ok(Domains::GTT));
        assert!(parse_domains("-").unwrap_err().contains("vram, gtt, cpu"));
    }

    #[test]
    fn times_are_short() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1000, "1.0 µs"),
            (999_949, "999.9 µs"),
            (999_950, "1.0 ms"),
            (2_500_000_000, "2.5 s"),
            (u64::MAX, "18446744073.7 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn ages_have_two_units() {
        for (ms, text) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (312_000, "5 min 12 s"),
            (3_600_000, "1 h 0 min"),
            (100_000_000, "1 d 3 h"),
        ] {
            assert_eq!(age(ms), text);
        }
    }

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(parse_interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_interval("10"), Ok(Duration::from_secs(10)));
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "1s"] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }
}
