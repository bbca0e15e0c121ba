// SPDX-License-Identifier: GPL-2.0

//! Page faults: how they end.

use super::*;

#[kunit_tests(pddgpu_fault)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    #[test]
    fn what_may_pass_is_tried_again_and_the_rest_is_a_signal() -> Result {
        const AGAIN: bindings::vm_fault_t = bindings::vm_fault_reason_VM_FAULT_NOPAGE;
        const SIGBUS: bindings::vm_fault_t = bindings::vm_fault_reason_VM_FAULT_SIGBUS;

        for (err, code) in [
            (EBUSY, AGAIN),
            (EINTR, AGAIN),
            (ERESTARTSYS, AGAIN),
            (ENODEV, AGAIN),
            (ENOMEM, SIGBUS),
            (ENOSPC, SIGBUS),
            (EINVAL, SIGBUS),
            (EIO, SIGBUS),
            (EPERM, SIGBUS),
        ] {
            check_eq!(fault_code(err), code, "{:?}", err);
        }
        Ok(())
    }
}
