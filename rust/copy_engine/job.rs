// SPDX-License-Identifier: GPL-2.0

//! Jobs of the copy engine, and how they are split into chunks and packets.
//!
//! This file accesses no hardware. The packets of a chunk are passed to a closure.

use core::ops::Range;

use kernel::{
    list::{
        impl_list_arc_safe,
        impl_list_item,
        ListArc,
        ListLinks, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce, //
    }, //
};

use crate::{
    abstractions::dma::fence::{
        Pending,
        Timeline, //
    },
    client::{
        Busy,
        Client,
        Holders, //
    },
    hw::{
        gmc::GTT_MAX_TRANSFER_SIZE,
        regs::Packet, //
    }, //
};

/// Most bytes that one packet copies or clears. The read pointer of the ring moves after each
/// packet, and the watchdog takes that for progress.
const MAX_PACKET_BYTES: u64 = 2 << 20;
/// Most packets of a chunk, without its FENCE packet.
pub(super) const MAX_CHUNK_PACKETS: u32 = GTT_MAX_TRANSFER_SIZE as u32;
/// Bytes of a transfer window.
pub(super) const WINDOW_BYTES: u64 = GTT_MAX_TRANSFER_SIZE * PAGE_SIZE as u64;

/// Memory as byte ranges, in the order of a buffer's pages.
pub(crate) struct Ranges {
    ranges: KVVec<Range<u64>>,
    bytes: u64,
}

impl Ranges {
    /// Collects ranges from an iterator. A range that begins where the one before it ends is merged
    /// with it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(ranges: impl Iterator<Item = Range<u64>>) -> Result<Self> {
        let mut this = Self {
            ranges: KVVec::new(),
            bytes: 0,
        };

        for range in ranges {
            this.bytes += range.end - range.start;
            match this.ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => this.ranges.push(range, GFP_KERNEL)?,
            }
        }
        Ok(this)
    }

    /// Whether the ranges have no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// One end of a copy.
pub(crate) enum CopyEnd {
    /// Memory that is mapped at these GPU addresses.
    Mapped(Ranges),
    /// System pages at these bus addresses, which have no GPU address. They are accessed through a
    /// transfer window.
    SystemPages(Ranges),
}

impl CopyEnd {
    fn ranges(&self) -> &Ranges {
        match self {
            Self::Mapped(ranges) | Self::SystemPages(ranges) => ranges,
        }
    }

    fn is_windowed(&self) -> bool {
        matches!(self, Self::SystemPages(_))
    }

    /// The GPU address at `at`, and how many bytes are contiguous from there. `window` is the
    /// address inside of the transfer window, for system pages.
    fn next(&self, at: &Cursor, window: u64) -> (u64, u64) {
        match self {
            Self::Mapped(ranges) => {
                let rest = at.rest(ranges);

                (rest.start, rest.end - rest.start)
            }
            Self::SystemPages(_) => (window, u64::MAX),
        }
    }
}

/// A position in [`Ranges`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    index: usize,
    /// Bytes into the range.
    offset: u64,
}

impl Cursor {
    /// The rest of the range that it is in; empty at the end of the last.
    fn rest(&self, ranges: &Ranges) -> Range<u64> {
        match ranges.ranges.get(self.index) {
            Some(range) => range.start + self.offset..range.end,
            None => 0..0,
        }
    }

    fn advance(&mut self, ranges: &Ranges, mut bytes: u64) {
        while bytes > 0 {
            let rest = self.rest(ranges);
            let here = rest.end - rest.start;

            if here > bytes {
                self.offset += bytes;
                return;
            }
            if here == 0 {
                return;
            }
            bytes -= here;
            *self = Self {
                index: self.index + 1,
                offset: 0,
            };
        }
    }
}

/// How much of a job is submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    from: Cursor,
    to: Cursor,
    done: u64,
}

/// The work of a job.
pub(super) enum Work {
    /// Both ends have the same number of bytes.
    Copy {
        from: CopyEnd,
        to: CopyEnd,
    },
    Clear {
        to: Ranges,
    },
}

impl Work {
    /// Bytes to copy or to clear.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Copy { to, .. } => to.ranges().bytes,
            Self::Clear { to } => to.bytes,
        }
    }

    /// Whether it needs a transfer window.
    pub(super) fn is_windowed(&self) -> bool {
        match self {
            Self::Copy { from, to } => from.is_windowed() || to.is_windowed(),
            Self::Clear { .. } => false,
        }
    }

    /// Whether all of it is submitted.
    pub(super) fn is_done(&self, at: &Progress) -> bool {
        at.done == self.bytes()
    }

    /// The bus addresses of the pages that the next chunk needs in its transfer window.
    pub(super) fn window_pages<'a>(
        &'a self,
        at: &Progress,
    ) -> impl Iterator<Item = Range<u64>> + 'a {
        let end = match self {
            Self::Copy { from, .. } if from.is_windowed() => Some((from.ranges(), at.from)),
            Self::Copy { to, .. } if to.is_windowed() => Some((to.ranges(), at.to)),
            _ => None,
        };

        end.into_iter().flat_map(|(ranges, cursor)| {
            let rest = cursor.rest(ranges);
            let others = ranges.ranges.iter().skip(cursor.index + 1).cloned();

            Iterator::chain(core::iter::once(rest), others).scan(WINDOW_BYTES, |room, range| {
                let bytes = (range.end - range.start).min(*room);

                *room -= bytes;
                (bytes > 0).then_some(range.start..range.start + bytes)
            })
        })
    }

    /// Calls `emit` for each packet of the next chunk, and advances `at` to its end. `window` is
    /// the GPU address of the transfer window that maps [`window_pages`](Self::window_pages).
    ///
    /// # Errors
    ///
    /// Those of `emit`.
    pub(super) fn next_chunk(
        &self,
        at: &mut Progress,
        window: u64,
        mut emit: impl FnMut(Packet) -> Result,
    ) -> Result {
        let bytes = self.bytes();
        let end = if self.is_windowed() {
            bytes.min(at.done + WINDOW_BYTES)
        } else {
            bytes
        };
        let start = at.done;

        for _ in 0..MAX_CHUNK_PACKETS {
            let most = (end - at.done).min(MAX_PACKET_BYTES);
            if most == 0 {
                break;
            }
            let window = window + (at.done - start);

            match self {
                Self::Copy { from, to } => {
                    let (source, readable) = from.next(&at.from, window);
                    let (destination, writable) = to.next(&at.to, window);
                    let bytes = most.min(readable).min(writable);

                    emit(Packet::Copy {
                        from: source,
                        to: destination,
                        bytes,
                    })?;
                    at.from.advance(from.ranges(), bytes);
                    at.to.advance(to.ranges(), bytes);
                    at.done += bytes;
                }
                Self::Clear { to } => {
                    let rest = at.to.rest(to);
                    let bytes = most.min(rest.end - rest.start);

                    emit(Packet::Clear {
                        to: rest.start,
                        bytes,
                    })?;
                    at.to.advance(to, bytes);
                    at.done += bytes;
                }
            }
        }
        Ok(())
    }
}

/// For whom a job is done, and the buffers that it uses. By default it is for the driver itself.
#[derive(Default)]
pub(crate) struct JobOwner {
    client: Option<Arc<Client>>,
    buffers: [Option<Busy>; 2],
}

impl JobOwner {
    /// For a job that uses one buffer. It is done for the client whose call is being served with the
    /// buffer locked.
    pub(crate) fn of(buffer: &Arc<Holders>) -> Self {
        Self {
            client: buffer.served(),
            buffers: [Some(Busy::new(buffer.clone())), None],
        }
    }

    /// Adds the ns for which the engine has worked.
    pub(super) fn add_engine_time(&self, ns: i64) {
        if let Some(client) = &self.client {
            client.add_engine_time(u64::try_from(ns).unwrap_or(0));
        }
    }
}

/// A copy or a clear, with the fence that is signalled at its end.
#[pin_data]
pub(super) struct Job<T: Timeline> {
    #[pin]
    links: ListLinks,
    pub(super) work: Work,
    pub(super) owner: JobOwner,
    /// The fence; set when the job is queued.
    pub(super) fence: SetOnce<Pending<T>>,
    /// Sequence number of its last FENCE packet, once that is in the ring.
    pub(super) last: Atomic<u64>,
    /// When its first chunk was submitted, in ns of the statistics' clock.
    pub(super) begun: Atomic<i64>,
    /// How often the engine has failed at it.
    pub(super) failures: Atomic<u32>,
}

impl_list_arc_safe! {
    impl{T: Timeline} ListArcSafe<0> for Job<T> { untracked; }
}
impl_list_item! {
    impl{T: Timeline} ListItem<0> for Job<T> { using ListLinks { self.links }; }
}

impl<T: Timeline> Job<T> {
    /// A job that is not queued yet.
    ///
    /// # Errors
    ///
    /// `EINVAL` for ends of different sizes; `ENOMEM`.
    pub(super) fn new(work: Work, owner: JobOwner) -> Result<ListArc<Self>> {
        if let Work::Copy { from, to } = &work {
            if from.ranges().bytes != to.ranges().bytes {
                return Err(EINVAL);
            }
        }

        ListArc::pin_init(
            try_pin_init!(Self {
                links <- ListLinks::new(),
                work,
                owner,
                fence: SetOnce::new(),
                last: Atomic::new(u64::MAX),
                begun: Atomic::new(0),
                failures: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Signals its fence with `result`. The buffers are not in use any more.
    pub(super) fn end(&self, result: Result) {
        for buffer in self.owner.buffers.iter().flatten() {
            buffer.end();
        }
        if let Some(fence) = self.fence.as_ref() {
            fence.signal(result);
        }
    }

    /// Counts a failure of the engine at this job. Returns how many there are now.
    pub(super) fn count_failure(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed) + 1
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/copy_engine/job.rs"]
mod kunit;
