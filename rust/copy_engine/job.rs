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
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
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
    abstractions::dma::{
        awaited::Awaited,
        fence::{
            Pending,
            Timeline, //
        }, //
    },
    client::{
        Busy,
        Client,
        Holders, //
    },
    copy_engine::ranges::{
        CopyEnd,
        Cursor, //
    },
    hw::{
        gmc::GTT_MAX_TRANSFER_SIZE,
        regs::Packet, //
    }, //
};

/// Most bytes that one packet copies or clears. The read pointer of the ring moves after each
/// packet, and the watchdog takes that for progress.
const MAX_PACKET_BYTES: u64 = 2 << 20;
/// Bytes that a client's job counts for at least. It has packets and an interrupt, however small it is.
pub(super) const MIN_COST: u64 = 64 << 10;
/// Most packets of a chunk, without its FENCE packet.
pub(super) const MAX_CHUNK_PACKETS: u32 = GTT_MAX_TRANSFER_SIZE as u32;
/// Bytes of a transfer window.
pub(super) const WINDOW_BYTES: u64 = GTT_MAX_TRANSFER_SIZE * PAGE_SIZE as u64;

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
    Fill {
        to: CopyEnd,
        value: u32,
    },
}

impl Work {
    /// Bytes to copy or to fill.
    pub(super) fn bytes(&self) -> u64 {
        self.to().ranges().bytes
    }

    fn to(&self) -> &CopyEnd {
        match self {
            Self::Copy { to, .. } | Self::Fill { to, .. } => to,
        }
    }

    /// The ends that need a transfer window, with how far they are.
    fn windowed<'a>(&'a self, at: &Progress) -> impl Iterator<Item = (&'a CopyEnd, Cursor)> {
        let from = match self {
            Self::Copy { from, .. } => Some((from, at.from)),
            Self::Fill { .. } => None,
        };

        Iterator::chain(from.into_iter(), [(self.to(), at.to)]).filter(|(end, _)| end.is_windowed())
    }

    /// Whether it reads memory at GPU addresses in `range`.
    pub(super) fn reads(&self, range: &Range<u64>) -> bool {
        match self {
            Self::Copy { from, .. } => from.is_mapped_in(range),
            Self::Fill { .. } => false,
        }
    }

    /// Whether it needs a transfer window.
    pub(super) fn is_windowed(&self) -> bool {
        self.windowed(&Progress::default()).next().is_some()
    }

    /// Bytes of the transfer window that each end has which needs it.
    fn window_size(&self) -> u64 {
        WINDOW_BYTES / self.windowed(&Progress::default()).count().max(1) as u64
    }

    /// Whether all of it is submitted.
    pub(super) fn is_done(&self, at: &Progress) -> bool {
        at.done == self.bytes()
    }

    /// The bus addresses of the pages that the next chunk needs in its transfer window, for each end
    /// that needs one. The first of the pages comes at this page of the window.
    pub(super) fn window_pages<'a>(
        &'a self,
        at: &Progress,
    ) -> impl Iterator<Item = (u64, impl Iterator<Item = Range<u64>> + 'a)> {
        let size = self.window_size();

        self.windowed(at)
            .enumerate()
            .map(move |(index, (end, cursor))| {
                (index as u64 * size >> PAGE_SHIFT, end.pages(cursor, size))
            })
    }

    /// Bytes up to which the next chunk goes: as many as its transfer window has room for.
    fn chunk_end(&self, at: &Progress) -> u64 {
        let size = self.window_size();

        self.windowed(at)
            .map(|(end, cursor)| at.done + size - end.within_page(&cursor))
            .fold(self.bytes(), u64::min)
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
        let end = self.chunk_end(at);
        let start = at.done;
        let to_begin = self.to().within_page(&at.to);
        let (from_begin, to_window) = match self {
            Self::Copy { from, .. } if from.is_windowed() => {
                (from.within_page(&at.from), window + self.window_size())
            }
            _ => (0, window),
        };

        for _ in 0..MAX_CHUNK_PACKETS {
            let most = (end - at.done).min(MAX_PACKET_BYTES);
            if most == 0 {
                break;
            }
            let done = at.done - start;
            let (destination, writable) = self.to().next(&at.to, to_window + to_begin + done);
            let mut bytes = most.min(writable);

            match self {
                Self::Copy { from, .. } => {
                    let (source, readable) = from.next(&at.from, window + from_begin + done);

                    bytes = bytes.min(readable);
                    emit(Packet::Copy {
                        from: source,
                        to: destination,
                        bytes,
                    })?;
                    at.from.advance(from.ranges(), bytes);
                }
                Self::Fill { value, .. } => emit(Packet::Fill {
                    value: *value,
                    to: destination,
                    bytes,
                })?,
            }
            at.to.advance(self.to().ranges(), bytes);
            at.done += bytes;
        }
        Ok(())
    }
}

/// For whom a job is done, and the buffers that it uses. By default it is for the driver itself.
#[derive(Default)]
pub(crate) struct JobOwner {
    client: Option<Arc<Client>>,
    buffers: [Option<Busy>; 2],
    /// Whether it takes turns with those of clients: one that a client has submitted itself.
    is_client: bool,
}

impl JobOwner {
    /// For a job that uses one buffer. It is done for the client whose call is being served with the
    /// buffer locked.
    pub(crate) fn of(buffer: &Arc<Holders>) -> Self {
        Self {
            client: buffer.served(),
            buffers: [Some(Busy::new(buffer.clone())), None],
            is_client: false,
        }
    }

    /// For a job that a client has submitted.
    pub(crate) fn client(client: Arc<Client>, buffers: [Option<Busy>; 2]) -> Self {
        Self {
            client: Some(client),
            buffers,
            is_client: true,
        }
    }

    /// For a job before this one that does a part of the same.
    pub(super) fn of_part(&self) -> Self {
        Self {
            client: self.client.clone(),
            buffers: [None, None],
            is_client: self.is_client,
        }
    }

    /// Whether a client has submitted it, or it waits for such jobs.
    pub(super) fn is_client(&self) -> bool {
        self.is_client
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
    /// Whether it does nothing any more, because the client is gone.
    cancelled: Atomic<bool>,
    /// Whether what it was to copy is lost.
    lost: Atomic<bool>,
    /// Fences that are to be signalled before it begins.
    after: KVec<Pin<KBox<Awaited<T>>>>,
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
    pub(super) fn new(
        work: Work,
        owner: JobOwner,
        after: KVec<Pin<KBox<Awaited<T>>>>,
    ) -> Result<ListArc<Self>> {
        if let Work::Copy { from, to } = &work {
            if from.ranges().bytes != to.ranges().bytes {
                return Err(EINVAL);
            }
        }

        let is_client = owner.is_client;
        ListArc::pin_init(
            try_pin_init!(Self {
                links <- ListLinks::new(),
                work,
                owner,
                cancelled: Atomic::new(false),
                lost: Atomic::new(false),
                after,
                fence: SetOnce::new(),
                last: Atomic::new(u64::MAX),
                begun: Atomic::new(0),
                failures: Atomic::new(0),
            }? Error),
            if is_client {
                GFP_KERNEL_ACCOUNT
            } else {
                GFP_KERNEL
            },
        )
    }

    /// Has it do nothing any more. Its fence is signalled with `ECANCELED` when its turn comes.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether it does nothing any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// Notes that what it was to copy is lost: it fills with zeroes instead, and its buffers have lost
    /// their content.
    pub(super) fn set_lost(&self) {
        self.lost.store(true, Relaxed);
        for buffer in self.owner.buffers.iter().flatten() {
            buffer.set_lost();
        }
    }

    /// The packet for the card, of one of its [`Work`].
    pub(super) fn packet(&self, packet: Packet) -> Packet {
        match packet {
            Packet::Copy { to, bytes, .. } if self.lost.load(Relaxed) => Packet::Fill {
                value: 0,
                to,
                bytes,
            },
            packet => packet,
        }
    }

    /// Bytes that it counts for among the jobs of clients; 0 for a move or a clear.
    pub(super) fn cost(&self) -> u64 {
        if self.owner.is_client {
            self.work.bytes().max(MIN_COST)
        } else {
            0
        }
    }

    /// Whether it waits for no fence any more. If it does, the engine is told when it may be worth
    /// asking again.
    pub(super) fn is_ready(&self) -> bool {
        self.is_cancelled() || !self.after.iter().any(|fence| fence.is_pending())
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
