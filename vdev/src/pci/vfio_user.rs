// SPDX-License-Identifier: GPL-2.0

//! vfio-user: the card as QEMU sees it, a set of regions and interrupts behind a socket.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use vfio_bindings::bindings::vfio::{
    vfio_region_info, vfio_region_sparse_mmap_area, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_NORESIZE,
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{
    DmaMapFlags, DmaUnmapFlags, Error, IrqInfo, Server, ServerBackend, ServerRegion, SparseArea,
};

use crate::device::{Region, SharedDevice};
use crate::memory::vram::Vram;

/// The region of the card that has a number in the protocol.
fn region(index: u32) -> Option<Region> {
    match index {
        VFIO_PCI_BAR0_REGION_INDEX => Some(Region::Registers),
        VFIO_PCI_BAR2_REGION_INDEX => Some(Region::Aperture),
        VFIO_PCI_CONFIG_REGION_INDEX => Some(Region::Config),
        _ => None,
    }
}

fn regions(device: &SharedDevice, vram: &Vram) -> Vec<ServerRegion> {
    let device = device.lock();
    let describe = |index| {
        let mut info = ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                index,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        };
        let Some(region) = region(index) else {
            return info;
        };
        info.region_info.size = device.region_len(region);
        if info.region_info.size > 0 {
            info.region_info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
            if region == Region::Aperture {
                let area = vfio_region_sparse_mmap_area {
                    offset: 0,
                    size: info.region_info.size,
                };
                info.region_info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
                info.sparse_areas.push(SparseArea { area });
                info.mmap_fd = Some(vram.aperture().as_raw_fd());
            }
        }
        info
    };
    (0..VFIO_PCI_NUM_REGIONS).map(describe).collect()
}

fn irqs() -> Vec<IrqInfo> {
    let describe = |index| match index {
        // QEMU warns if a function cannot tell it of bus errors; this one has none to tell of.
        VFIO_PCI_MSI_IRQ_INDEX | VFIO_PCI_ERR_IRQ_INDEX => IrqInfo {
            index,
            count: 1,
            flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
        },
        _ => IrqInfo {
            index,
            count: 0,
            flags: 0,
        },
    };
    (0..VFIO_PCI_NUM_IRQS).map(describe).collect()
}

/// Turns the protocol's requests into accesses to the card.
struct Backend(SharedDevice);

/// Only the client's own mistakes are errors here. Whatever the guest does is an access that the
/// card takes in its way, so nothing a guest does can disturb the connection.
impl ServerBackend for Backend {
    fn region_read(&mut self, index: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        match region(index) {
            Some(region) => self.0.lock().read(region, offset, data),
            None => data.fill(0xff),
        }
        Ok(())
    }

    fn region_write(&mut self, index: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(region) = region(index) {
            self.0.lock().write(region, offset, data);
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        let file = fd.map(|fd| (fd, offset));
        self.0
            .lock()
            .dma_map(address, size, flags.contains(DmaMapFlags::WRITE), file)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let all = flags.contains(DmaUnmapFlags::UNMAP_ALL);
        self.0.lock().dma_unmap((!all).then_some((address, size)));
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.0.lock().reset_bus();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        match index {
            VFIO_PCI_MSI_IRQ_INDEX => self.0.lock().msi.set(flags, start, count, fds),
            VFIO_PCI_ERR_IRQ_INDEX => Ok(()),
            // A client may clear vectors of kinds that the card does not have.
            _ if count == 0 => Ok(()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Serves the first client that connects, until it goes.
///
/// # Errors
///
/// If the connection breaks in another way than by the client's end.
pub fn serve(listener: UnixListener, device: &SharedDevice) -> Result<(), Error> {
    let vram = Arc::clone(device.lock().vram());
    let server = Server::from_owned_fd(
        OwnedFd::from(listener),
        true,
        irqs(),
        regions(device, &vram),
    );
    match server.run(&mut Backend(device.clone())) {
        Err(error) if is_disconnect(&error) => Ok(()),
        result => result,
    }
}

/// Whether an error means no more than that the client died with a message under way.
fn is_disconnect(error: &Error) -> bool {
    match error {
        Error::ReceiveWithFd(error) | Error::SendWithFd(error) => {
            is_disconnect_kind(io::Error::from_raw_os_error(error.errno()).kind())
        }
        Error::StreamRead(error) | Error::StreamWrite(error) => is_disconnect_kind(error.kind()),
        _ => false,
    }
}

fn is_disconnect_kind(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
    )
}
