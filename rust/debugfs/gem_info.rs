// SPDX-License-Identifier: GPL-2.0

//! `pddgpu_gem_info`: every buffer, by client.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    abstractions::drm::{
        debugfs::List,
        drm_print,
        Client,
        Printer, //
    },
    bo::{
        Bo,
        BoPlacement, //
    },
    device::{
        PddgpuDevice,
        PddgpuDrm, //
    },
    memory_stats::{
        label::Label,
        leak::{
            Leak,
            LeakState, //
        },
        leak_walk::Walk, //
    },
    uapi::{
        BoParam,
        CreateFlag,
        CreateFlags,
        Domain, //
    }, //
};

/// The file.
pub(super) struct GemInfo;

/// What a reader finds next.
pub(super) enum Position {
    /// The client that was there before the one with this number, or the last one.
    Client(Option<u64>),
    /// The handles of a client.
    Handles {
        /// Its number.
        client: u64,
        /// The lowest handle that may be next.
        from: u32,
    },
    /// The buffers without a handle.
    Orphans {
        /// The walk over all buffers.
        walk: Walk,
        /// Whether one was found.
        found: bool,
    },
}

/// What is printed.
pub(super) enum Item {
    /// A client with this number. Its buffers follow.
    Client(u64, Client),
    /// A buffer of a client.
    Buffer(Row),
    /// The first buffer without a handle.
    FirstOrphan(Row),
}

/// What is printed of a buffer.
pub(super) struct Row {
    handle: Option<u32>,
    id: u64,
    size: u64,
    param: BoParam,
    domain: Option<Domain>,
    pins: u32,
    visible: u64,
    gpu_addr: Option<u64>,
    mmap_offset: u64,
    dma_buf: u64,
    label: Label,
}

impl List for GemInfo {
    type Driver = PddgpuDrm;
    const NAME: &'static CStr = c"pddgpu_gem_info";
    type Cursor = Position;
    type Item = Item;

    fn start(_dev: &PddgpuDevice) -> Result<Position> {
        Ok(Position::Client(None))
    }

    fn next(dev: &PddgpuDevice, at: &mut Position) -> Result<Option<Item>> {
        loop {
            match at {
                Position::Client(before) => {
                    match dev.next_file(*before, |file| (file.client_id(), file.client())) {
                        Some((id, client)) => {
                            *at = Position::Handles {
                                client: id,
                                from: 0,
                            };
                            return Ok(Some(Item::Client(id, client)));
                        }
                        None => {
                            *at = Position::Orphans {
                                walk: dev.stats.walk(LeakState::Young)?,
                                found: false,
                            }
                        }
                    }
                }
                Position::Handles { client, from } => {
                    // Nothing is locked any more when the buffer is looked at, which may have to
                    // wait for it.
                    match dev.next_handle(*client, *from) {
                        Some((handle, bo)) => {
                            let row = Row::new(handle, &bo)?;

                            *from = handle + 1;
                            return Ok(Some(Item::Buffer(row)));
                        }
                        None => *at = Position::Client(Some(*client)),
                    }
                }
                Position::Orphans { walk, found } => {
                    let leak = walk.next(&dev.stats, |leak| leak.handles == 0)?;
                    let row = leak.map(|leak| Row::orphan(&leak));

                    let item = if *found {
                        Item::Buffer
                    } else {
                        Item::FirstOrphan
                    };

                    *found = true;
                    return Ok(row.map(item));
                }
            }
        }
    }

    fn print(_dev: &PddgpuDevice, item: &Item, p: &Printer) {
        match item {
            Item::Client(id, client) => print_client(p, *id, client),
            Item::Buffer(row) => row.print(p),
            Item::FirstOrphan(row) => {
                drm_print!(p, "client - (no handle)\n");
                row.print(p);
            }
        }
    }
}

fn print_client(p: &Printer, id: u64, client: &Client) {
    drm_print!(
        p,
        "client {} pid {} command {}\n",
        id,
        client.pid,
        client.comm()
    );
    drm_print!(
        p,
        "{:>10} {:>10} {:>14} {:<12} {:<9} {:>4} {:>14} {:>18} {:>14} {:>8} flags label\n",
        "handle",
        "id",
        "size",
        "domains",
        "placement",
        "pins",
        "visible",
        "gpu_addr",
        "mmap_offset",
        "dma_buf"
    );
}

impl Row {
    /// A buffer that a client has a handle of.
    ///
    /// # Errors
    ///
    /// `ERESTARTSYS` on a signal, while the buffer is locked by others.
    fn new(handle: u32, bo: &Bo) -> Result<Self> {
        let locked = bo.reserve()?;
        let placement = BoPlacement::new(&locked);

        Ok(Self {
            handle: Some(handle),
            id: bo.tracking.id,
            size: bo.size(),
            param: bo.param,
            domain: placement.domain,
            pins: locked.pin_count(),
            visible: placement.visible,
            gpu_addr: placement.gpu_addr,
            mmap_offset: bo.mmap_offset(),
            dma_buf: bo.tracking.dma_buf(),
            label: bo.tracking.label(),
        })
    }

    /// A buffer without a handle, through which it could be locked. What is known of it is what was
    /// noted at its last move.
    fn orphan(leak: &Leak) -> Self {
        Self {
            handle: None,
            id: leak.id,
            size: leak.size,
            param: leak.param,
            domain: leak.domain,
            pins: 0,
            visible: leak.visible,
            gpu_addr: None,
            mmap_offset: leak.mmap_offset,
            dma_buf: leak.dma_buf,
            label: leak.label,
        }
    }

    fn print(&self, p: &Printer) {
        drm_print!(
            p,
            "{:>10} {:>10} {:>14} {:<12} {:<9} {:>4} {:>14} {:>18} {:>#14x} {:>8} {} {}\n",
            OrDash(self.handle),
            self.id,
            self.size,
            self.param.domains.name(),
            self.domain.map_or("-", Domain::name),
            self.pins,
            self.visible,
            GpuAddr(self.gpu_addr),
            self.mmap_offset,
            OrDash((self.dma_buf != 0).then_some(self.dma_buf)),
            FlagNames(self.param.flags),
            self.label
        );
    }
}

/// A number, or `-`.
struct OrDash<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => fmt::Display::fmt(number, f),
            None => f.pad("-"),
        }
    }
}

/// A GPU address, or `-`.
struct GpuAddr(Option<u64>);

impl fmt::Display for GpuAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => f.write_fmt(fmt!("{:#018x}", address)),
            None => f.pad("-"),
        }
    }
}

/// The names of flags with `|` between them, or `-`.
struct FlagNames(CreateFlags);

impl fmt::Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = CreateFlag::ALL
            .into_iter()
            .filter(|(flag, _)| self.0.contains(*flag))
            .map(|(_, name)| name);

        f.write_str(names.next().unwrap_or("-"))?;
        names.try_for_each(|name| {
            f.write_str("|")?;
            f.write_str(name)
        })
    }
}
