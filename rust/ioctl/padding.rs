// SPDX-License-Identifier: GPL-2.0

//! Fields that have no meaning yet.

use kernel::prelude::*;

/// Checks such a field.
///
/// # Errors
///
/// `EINVAL` if it is not 0.
pub(super) fn must_be_zero(pad: u32) -> Result {
    if pad == 0 {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
