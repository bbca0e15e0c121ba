// SPDX-License-Identifier: GPL-2.0

//! Stack traces: which are the same, and what they say.

use kernel::str::CString;

use super::*;

#[inline(never)]
fn here() -> Trace {
    Trace::save(0)
}

#[kunit_tests(pddgpu_stackdepot)]
mod tests {
    use super::*;
    use crate::kunit::{
        check,
        check_eq, //
    };

    #[test]
    fn equal_calls_share_their_memory() -> Result {
        init()?;

        // One call from one place, as the compiler does not know how often.
        let mut same = [Trace::default(); 3];
        for trace in core::hint::black_box(&mut same[..]) {
            *trace = here();
        }
        check!(same.iter().all(|trace| trace.is_some()));
        check!(same.iter().all(|trace| trace.0 == same[0].0));
        check!(here().0 != same[0].0);
        Ok(())
    }

    #[test]
    fn a_trace_names_the_calls() -> Result {
        init()?;

        let text = CString::try_from_fmt(fmt!("{}", here()))?;
        let text = text.to_str()?;
        check!(text.lines().count() >= 2, "{}", text);
        check!(
            text.lines().all(|line| line.starts_with("        ")),
            "{}",
            text
        );
        check!(text.contains("[pddgpu]"), "{}", text);
        Ok(())
    }

    #[test]
    fn no_trace_says_nothing() -> Result {
        let none = Trace::default();

        check!(!none.is_some());
        check_eq!(CString::try_from_fmt(fmt!("{}", none))?.to_str()?, "");
        Ok(())
    }
}
