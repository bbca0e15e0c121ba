/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RUST_MISTAKES_H
#define RUST_MISTAKES_H

int rust_use_after_free(void);
int rust_out_of_bounds(void);
int rust_leak(void);
int rust_sleep_in_atomic(void);
int rust_lock_order(void);
int rust_overflow(void);
int rust_debug_assertion(void);

#endif
