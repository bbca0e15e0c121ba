// SPDX-License-Identifier: GPL-2.0

//! What is written to debugfs files.

use kernel::prelude::*;

use super::*;

#[kunit_tests(pddgpu_debugfs)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    #[test]
    fn numbers() -> Result {
        for (word, expected) in [
            ("0", Ok(0)),
            ("1", Ok(1)),
            ("007", Ok(7)),
            ("4096", Ok(4096)),
            ("0x0", Ok(0)),
            ("0x1000", Ok(4096)),
            ("0xabcDEF", Ok(0xabc_def)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("0xffffffffffffffff", Ok(u64::MAX)),
            ("18446744073709551616", Err(EINVAL)),
            ("0x10000000000000000", Err(EINVAL)),
            ("", Err(EINVAL)),
            ("0x", Err(EINVAL)),
            ("-1", Err(EINVAL)),
            ("+1", Err(EINVAL)),
            ("+", Err(EINVAL)),
            ("0x+1", Err(EINVAL)),
            ("+0x1", Err(EINVAL)),
            ("1 ", Err(EINVAL)),
            (" 1", Err(EINVAL)),
            ("1k", Err(EINVAL)),
            ("abc", Err(EINVAL)),
            ("0X10", Err(EINVAL)),
            ("1.5", Err(EINVAL)),
            ("0x0x1", Err(EINVAL)),
        ] {
            check_eq!(parse_number(word), expected, "\"{}\"", word);
        }
        Ok(())
    }
}
