// SPDX-License-Identifier: GPL-2.0

//! What is written to debugfs files.

use kernel::{
    prelude::*,
    sizes::SZ_1M,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use super::*;
use crate::{
    hw::gmc,
    kunit::{
        device::{
            self,
            Card, //
        },
        printed, //
    }, //
};

const MIB: u64 = SZ_1M as u64;

/// How often [`Count`] was run.
static RUNS: Atomic<i32> = Atomic::new(0);

struct Count;

impl Command for Count {
    type Driver = device::Drm;
    const NAME: &'static CStr = c"pddgpu_count";

    fn run(_dev: &Device<device::Drm>, words: &str) -> Result {
        RUNS.add(1, Relaxed);
        match words {
            "" => Ok(()),
            _ => Err(EINVAL),
        }
    }
}

struct Refuse;

impl Command for Refuse {
    type Driver = device::Drm;
    const NAME: &'static CStr = c"pddgpu_refuse";

    fn run(_dev: &Device<device::Drm>, _words: &str) -> Result {
        Err(EBUSY)
    }
}

/// What [`Number`] is set to.
static NUMBER: Atomic<u64> = Atomic::new(0);

struct Number;

impl Setting for Number {
    type Driver = device::Drm;
    const NAME: &'static CStr = c"pddgpu_number";

    fn get(_dev: &Device<device::Drm>) -> u64 {
        NUMBER.load(Relaxed)
    }

    fn set(_dev: &Device<device::Drm>, number: u64) -> Result {
        if number == 1000 {
            return Err(ERANGE);
        }
        NUMBER.store(number, Relaxed);
        Ok(())
    }
}

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

    #[test]
    fn a_write_of_nothing_is_a_command() -> Result {
        let card = Card::new(MIB, MIB, gmc::RESERVED_SIZE + MIB)?;
        let before = RUNS.load(Relaxed);

        check_eq!(run::<Count>(card.drm(), core::ptr::null(), 0), 0);
        check_eq!(RUNS.load(Relaxed), before + 1);
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_not_run() -> Result {
        let card = Card::new(MIB, MIB, gmc::RESERVED_SIZE + MIB)?;
        let before = RUNS.load(Relaxed);

        for (len, errno) in [
            (1, EFAULT),
            (64, EFAULT),
            // Too long to be looked at.
            (65, EINVAL),
            (4096, EINVAL),
            (usize::MAX, EINVAL),
        ] {
            check_eq!(
                run::<Count>(card.drm(), core::ptr::null(), len),
                errno.to_errno() as isize,
                "{} bytes",
                len
            );
        }
        check_eq!(RUNS.load(Relaxed), before);
        Ok(())
    }

    #[test]
    fn errors_of_commands_go_to_the_writer() -> Result {
        let card = Card::new(MIB, MIB, gmc::RESERVED_SIZE + MIB)?;

        check_eq!(
            run::<Refuse>(card.drm(), core::ptr::null(), 0),
            EBUSY.to_errno() as isize
        );
        Ok(())
    }

    #[test]
    fn a_setting_is_a_line_with_a_number() -> Result {
        let card = Card::new(MIB, MIB, gmc::RESERVED_SIZE + MIB)?;

        for (number, text) in [
            (0, "0\n"),
            (4096, "4096\n"),
            (u64::MAX, "18446744073709551615\n"),
        ] {
            NUMBER.store(number, Relaxed);
            let shown = printed(|p| SettingFile::<Number>::show(card.drm(), p))?;

            check_eq!(core::str::from_utf8(&shown)?, text);
        }
        Ok(())
    }

    #[test]
    fn a_setting_is_set_to_one_number_or_stays() -> Result {
        let card = Card::new(MIB, MIB, gmc::RESERVED_SIZE + MIB)?;
        let mut before = 5;

        NUMBER.store(before, Relaxed);
        for (words, result) in [
            ("17", Ok(17)),
            ("0x10", Ok(16)),
            ("", Err(EINVAL)),
            ("1 2", Err(EINVAL)),
            ("ten", Err(EINVAL)),
            // What the setting itself does not like.
            ("1000", Err(ERANGE)),
            ("999", Ok(999)),
        ] {
            check_eq!(
                SettingFile::<Number>::run(card.drm(), words),
                result.map(|_| ()),
                "\"{}\"",
                words
            );
            before = result.unwrap_or(before);
            check_eq!(NUMBER.load(Relaxed), before, "\"{}\"", words);
        }
        Ok(())
    }
}
