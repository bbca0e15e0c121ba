// SPDX-License-Identifier: GPL-2.0

//! Queries as bytes.

use pddgpu::raw::drm_pddgpu_query;
use rustix::io::Errno;

use crate::support::fixture::Bench;

/// Bytes around an answer, which must stay as they are.
pub const UNTOUCHED: u8 = 0xee;

/// Asks with room for `size` bytes; gives the answer with some bytes after it, and the size told.
pub fn ask(bench: &Bench, query: u32, size: u32) -> Result<(Vec<u8>, u32), Errno> {
    let mut answer = vec![UNTOUCHED; size as usize + 64];
    let data = answer.as_mut_ptr() as usize as u64;
    let mut args = drm_pddgpu_query { query, size, data };
    // SAFETY: The kernel may write `size` bytes there, and there are more.
    unsafe { bench.card.raw().query(&mut args) }?;
    Ok((answer, args.size))
}
