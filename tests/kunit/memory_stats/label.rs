// SPDX-License-Identifier: GPL-2.0

//! Names of buffers: which there can be.

use super::*;
use crate::kunit::check_eq;

#[kunit_tests(pddgpu_label)]
mod tests {
    use super::*;

    #[test]
    fn printable_characters_are_taken_and_others_refused() -> Result {
        for byte in 1..=u8::MAX {
            let text = [b'a', byte, b'z', 0];
            let result = Label::new(CStr::from_bytes_with_nul(&text).map_err(|_| EINVAL)?);
            let expected = match byte {
                b' '..=b'~' => Ok(()),
                _ => Err(EINVAL),
            };

            check_eq!(result.map(drop), expected);
        }
        Ok(())
    }

    #[test]
    fn one_byte_is_kept_for_the_end() -> Result {
        let text = [b'x'; SIZE - 1];
        let mut end = [b'x'; SIZE + 1];

        end[SIZE] = 0;
        check_eq!(
            Label::new(CStr::from_bytes_with_nul(&end).map_err(|_| EINVAL)?).map(drop),
            Err(E2BIG)
        );
        end[SIZE - 1] = 0;
        let label = Label::new(CStr::from_bytes_until_nul(&end).map_err(|_| EINVAL)?)?;
        check_eq!(label.bytes()[..SIZE - 1], text);
        check_eq!(label.bytes()[SIZE - 1], 0);

        let cell = LabelCell::new();
        check_eq!(cell.get() == Label::default(), true);
        cell.set(&label);
        check_eq!(cell.get() == label, true);
        Ok(())
    }
}
