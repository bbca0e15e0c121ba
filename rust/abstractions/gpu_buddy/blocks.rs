// SPDX-License-Identifier: GPL-2.0

//! Allocated blocks of buddy allocators.

use core::{
    marker::PhantomData,
    ops::Range,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::bindings::raw as bindings;

/// Bytes of the smallest block.
pub(super) const CHUNK: u64 = PAGE_SIZE as u64;

/// Blocks of a [`Buddy`](super::Buddy), or of several, in order of allocation.
///
/// They must be given back with [`Buddy::free`](super::Buddy::free). Dropping them does not free the memory.
///
/// # Invariants
///
/// - `first` is the `link` of an allocated block, in a ring of such links that has no list head.
/// - `index`, if there is one, has an entry for each of the blocks, in their order.
#[must_use = "dropped blocks stay allocated"]
pub(crate) struct Blocks {
    first: NonNull<bindings::list_head>,
    /// Most buffers have few blocks and no index. To drop an empty vector would call the allocator.
    index: Option<KVVec<IndexEntry>>,
}

/// Where a block is among others.
struct IndexEntry {
    /// Bytes of the blocks before it.
    before: u64,
    link: NonNull<bindings::list_head>,
}

/// Blocks that are as quickly walked as looked up.
const FEW_BLOCKS: usize = 16;

// SAFETY: Blocks have no reference to the thread that allocated them.
unsafe impl Send for Blocks {}

// SAFETY: `&Blocks` only reads what is constant while they are allocated.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Makes [`Blocks`] of the blocks in a list; [`None`] of an empty one.
    ///
    /// # Safety
    ///
    /// `head` must be a list of allocated blocks that are nobody else's.
    pub(super) unsafe fn take(head: *mut bindings::list_head) -> Option<Self> {
        // SAFETY: By this function's requirements; without the head the blocks make a ring.
        unsafe {
            let first = (*head).next;

            if core::ptr::eq(first, head) {
                return None;
            }
            bindings::list_del(head);
            // INVARIANT: The blocks are allocated, in a ring, and ours.
            Some(Self {
                first: NonNull::new_unchecked(first),
                index: None,
            })
        }
    }

    /// Adds blocks behind these.
    pub(crate) fn append(&mut self, others: Self) {
        let (first, other) = (self.first.as_ptr(), others.first.as_ptr());

        // INVARIANT: One ring is made of both, and there is no index of it yet.
        // SAFETY: By the type invariants of both: two rings that nobody else uses.
        unsafe {
            let (last, other_last) = ((*first).prev, (*other).prev);

            (*last).next = other;
            (*other).prev = last;
            (*other_last).next = first;
            (*first).prev = other_last;
        }
        self.index = None;
    }

    /// Divides the blocks into those that begin before an address and the others, each in their order.
    pub(crate) fn split(self, border: u64) -> [Option<Self>; 2] {
        let mut is_behind = self.iter().map(|range| range.start >= border);
        let first = is_behind.next().unwrap_or(false);
        let is_mixed = is_behind.any(|is_behind| is_behind != first);

        drop(is_behind);
        match (is_mixed, first) {
            (false, false) => [Some(self), None],
            (false, true) => [None, Some(self)],
            (true, _) => self.split_mixed(border),
        }
    }

    fn split_mixed(self, border: u64) -> [Option<Self>; 2] {
        let mut heads = [bindings::list_head::default(); 2];
        let heads = addr_of_mut!(heads).cast::<bindings::list_head>();
        // SAFETY: Both heads are ours, and stay where they are as long as the lists last. Each block is
        // moved to one of them.
        unsafe {
            let heads = [heads, heads.add(1)];

            for head in heads {
                bindings::INIT_LIST_HEAD(head);
            }
            self.for_each(|block| {
                let start = bindings::gpu_buddy_block_offset(block);
                let link = addr_of_mut!((*block).__bindgen_anon_1.link);

                bindings::list_add_tail(link, heads[usize::from(start >= border)]);
            });
            heads.map(|head| Self::take(head))
        }
    }

    /// Calls `f` with each of the blocks, which may do with it what it likes.
    pub(super) fn for_each(self, mut f: impl FnMut(*mut bindings::gpu_buddy_block)) {
        let first = self.first.as_ptr();
        let mut link = first;

        loop {
            // SAFETY: By the type invariant a block's link, which is read before `f` gets the block.
            let (next, block) = unsafe { ((*link).next, block_of(link)) };

            f(block);
            link = next;
            if link == first {
                break;
            }
        }
    }

    /// Moves the blocks to the list `head`.
    ///
    /// # Safety
    ///
    /// `head` must be valid memory that stays where it is as long as the list lasts.
    pub(super) unsafe fn put(self, head: *mut bindings::list_head) {
        // SAFETY: By this function's requirements; a head before the first link makes a list of the
        // ring.
        unsafe {
            bindings::INIT_LIST_HEAD(head);
            bindings::list_add_tail(head, self.first.as_ptr());
        }
    }

    /// Bytes of all blocks.
    pub(crate) fn size(&self) -> u64 {
        self.headers().map(|block| block.size()).sum()
    }

    /// The byte ranges of the blocks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.headers().map(|block| block.range())
    }

    /// Makes [`iter_from`](Self::iter_from) O(log n) in the number of blocks.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn make_index(&mut self) -> Result {
        if self.headers().nth(FEW_BLOCKS).is_none() {
            return Ok(());
        }

        let mut index = KVVec::new();
        let mut before = 0;
        let mut headers = self.headers();

        loop {
            let link = headers.next;
            let Some(block) = headers.next() else {
                break;
            };

            index.push(IndexEntry { before, link }, GFP_KERNEL)?;
            before += block.size();
        }
        // INVARIANT: All blocks were walked.
        self.index = Some(index);
        Ok(())
    }

    /// The byte ranges of the blocks without their first `skip` bytes.
    pub(crate) fn iter_from(&self, skip: u64) -> Ranges<'_> {
        let entry = self.index.as_ref().and_then(|index| {
            let at = index.partition_point(|entry| entry.before <= skip);

            index.get(at.checked_sub(1)?)
        });

        match entry {
            // INVARIANT: The link is one of the blocks.
            Some(entry) => Ranges {
                headers: Headers {
                    blocks: Some(self),
                    next: entry.link,
                },
                skip: skip - entry.before,
            },
            None => Ranges {
                headers: self.headers(),
                skip,
            },
        }
    }

    /// The byte ranges of the blocks that were not known to be zero when they were allocated.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.headers()
            .filter(|block| !block.is_clear())
            .map(|block| block.range())
    }

    /// The byte ranges of the blocks that were known to be zero when they were allocated.
    pub(crate) fn clean(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.headers()
            .filter(Header::is_clear)
            .map(|block| block.range())
    }

    fn headers(&self) -> Headers<'_> {
        Headers {
            blocks: Some(self),
            next: self.first,
        }
    }

    /// The byte range of all blocks, if each begins where the one before it ends.
    pub(crate) fn contiguous(&self) -> Option<Range<u64>> {
        self.iter()
            .map(Some)
            .reduce(|whole, block| match (whole, block) {
                (Some(whole), Some(block)) if whole.end == block.start => {
                    Some(whole.start..block.end)
                }
                _ => None,
            })?
    }
}

/// The block that a link is in.
///
/// # Safety
///
/// `link` must be the `link` of a block.
unsafe fn block_of(link: *mut bindings::list_head) -> *mut bindings::gpu_buddy_block {
    // SAFETY: By this function's requirements.
    unsafe {
        kernel::container_of!(
            link.cast::<bindings::gpu_buddy_block__bindgen_ty_1>(),
            bindings::gpu_buddy_block,
            __bindgen_anon_1
        )
    }
}

/// The header of an allocated block.
///
/// # Invariants
///
/// The block is one of `Blocks` that last for `'a`, so its header is constant.
struct Header<'a> {
    block: *mut bindings::gpu_buddy_block,
    blocks: PhantomData<&'a Blocks>,
}

impl Header<'_> {
    /// Bytes of the block.
    fn size(&self) -> u64 {
        // SAFETY: By the type invariant; it only reads.
        CHUNK << unsafe { bindings::gpu_buddy_block_order(self.block) }
    }

    fn range(&self) -> Range<u64> {
        // SAFETY: By the type invariant; it only reads.
        let start = unsafe { bindings::gpu_buddy_block_offset(self.block) };

        start..start + self.size()
    }

    /// Whether the block was known to be zero when it was allocated.
    fn is_clear(&self) -> bool {
        // SAFETY: By the type invariant; it only reads.
        unsafe { bindings::gpu_buddy_block_is_clear(self.block) }
    }
}

/// The headers of blocks.
///
/// # Invariants
///
/// `next` is a link of `blocks`, unless that is [`None`].
struct Headers<'a> {
    blocks: Option<&'a Blocks>,
    next: NonNull<bindings::list_head>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    #[inline]
    fn next(&mut self) -> Option<Header<'a>> {
        let blocks = self.blocks?;
        let link = self.next;

        // SAFETY: By the type invariants of both, the link is that of an allocated block, and is
        // followed by another one in the ring.
        unsafe {
            self.next = NonNull::new_unchecked((*link.as_ptr()).next);
            if self.next == blocks.first {
                self.blocks = None;
            }
            // INVARIANT: It is one of `blocks`.
            Some(Header {
                block: block_of(link.as_ptr()),
                blocks: PhantomData,
            })
        }
    }
}

/// The byte ranges of blocks.
pub(crate) struct Ranges<'a> {
    headers: Headers<'a>,
    /// Bytes that are left out of the ranges that come next.
    skip: u64,
}

impl Ranges<'_> {
    /// The ranges of no blocks.
    pub(crate) const fn empty() -> Self {
        Self {
            headers: Headers {
                blocks: None,
                next: NonNull::dangling(),
            },
            skip: 0,
        }
    }
}

impl Iterator for Ranges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        loop {
            let Range { start, end } = self.headers.next()?.range();

            if self.skip < end - start {
                let start = start + self.skip;

                self.skip = 0;
                return Some(start..end);
            }
            self.skip -= end - start;
        }
    }
}
