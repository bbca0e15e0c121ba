// SPDX-License-Identifier: GPL-2.0

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use serde::Serialize;

use crate::{
    buffer::{Buffer, Create},
    query,
    raw::{self, Raw},
    Domain, Error, Features, Result,
};

/// The name by which the DRM driver calls itself.
const DRIVER: &str = "pddgpu";

/// Where the kernel puts the nodes of DRM devices.
const NODES: &str = "/dev/dri";

/// An open card: one client of the driver, with handles of its own.
///
/// Clones share the open file.
#[derive(Clone, Debug)]
pub struct Card {
    file: Arc<File>,
    path: PathBuf,
}

/// The card and the limits it sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// 0x1000, 0x2000 or 0x3000.
    pub chip_id: u32,
    /// The chip's revision: major, minor.
    pub chip_revision: (u8, u8),
    /// What the card can do.
    pub features: Features,
    /// GPU address of the first byte of VRAM.
    pub vram_start: u64,
    /// Bytes of VRAM.
    pub vram_size: u64,
    /// Bytes of VRAM the CPU can reach: the first ones.
    pub visible_size: u64,
    /// GPU address of the first byte of the GTT window.
    pub gtt_start: u64,
    /// Bytes of GTT address space.
    pub gtt_size: u64,
    /// Bytes of the largest buffer in the CPU domain.
    pub max_cpu_size: u64,
    /// The largest alignment that may be asked for, in bytes.
    pub max_alignment: u64,
}

/// One kind of memory and how much of it is in use, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heap {
    /// Which one.
    pub domain: Domain,
    /// How much there is.
    pub total: u64,
    /// How much buffers of user space may take up in all.
    pub usable: u64,
    /// How much is in use, what is reserved included.
    pub used: u64,
    /// How much is withheld from buffers.
    pub reserved: u64,
    /// How much of `total` the CPU can reach.
    pub visible_total: u64,
    /// How much of `used` the CPU can reach.
    pub visible_used: u64,
}

impl Card {
    /// Opens a render or primary node.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::file(path))?;
        let driver = driver_name(&file).map_err(Error::file(path))?;
        if driver != DRIVER {
            return Err(Error::OtherDriver {
                path: path.into(),
                driver,
            });
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.into(),
        })
    }

    /// Opens the render node of the first card there is.
    pub fn find() -> Result<Self> {
        let (cards, denied) = Self::search()?;
        cards.into_iter().next().ok_or(Error::NotFound { denied })
    }

    /// Opens the render nodes of all cards, in the order of their minor numbers. Nodes without
    /// permission are left out.
    pub fn all() -> Result<Vec<Self>> {
        Self::search().map(|(cards, _)| cards)
    }

    fn search() -> Result<(Vec<Self>, Vec<PathBuf>)> {
        let entries = match fs::read_dir(NODES) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(e) => return Err(Error::file(NODES)(e)),
        };
        let mut nodes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file(NODES))?;
            let name = entry.file_name();
            if let Some(minor) = name.to_str().and_then(|n| n.strip_prefix("renderD")) {
                nodes.extend(minor.parse::<u32>().map(|minor| (minor, entry.path())));
            }
        }
        nodes.sort();

        let (mut cards, mut denied) = (Vec::new(), Vec::new());
        for (_, node) in nodes {
            match Self::open(&node) {
                Ok(card) => cards.push(card),
                Err(e) if matches!(e.errno(), Some(Errno::ACCESS | Errno::PERM)) => {
                    denied.push(node);
                }
                // Another driver's node, or one that went away meanwhile.
                Err(_) => {}
            }
        }
        Ok((cards, denied))
    }

    /// The node that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ioctls as they are.
    pub fn raw(&self) -> Raw<'_> {
        Raw {
            fd: self.file.as_fd(),
        }
    }

    /// Asks about the card.
    pub fn device(&self) -> Result<Device> {
        let mut words = [0; size_of::<raw::drm_pddgpu_query_device>() / size_of::<u64>()];
        self.query("QUERY device", raw::DRM_PDDGPU_QUERY_DEVICE, &mut words)?;
        // SAFETY: The structure is integers only, for which any bits are a value, and the words are
        // of its size and alignment.
        let d: raw::drm_pddgpu_query_device = unsafe { std::mem::transmute(words) };
        Ok(Device {
            chip_id: d.chip_id,
            chip_revision: (((d.chip_rev >> 4) & 0xf) as u8, (d.chip_rev & 0xf) as u8),
            features: Features::from_bits_retain(d.features),
            vram_start: d.vram_start,
            vram_size: d.vram_size,
            visible_size: d.visible_size,
            gtt_start: d.gtt_start,
            gtt_size: d.gtt_size,
            max_cpu_size: d.max_cpu_size,
            max_alignment: d.max_alignment,
        })
    }

    /// Asks about all heaps, in the order of preference. Heaps this library does not know are left
    /// out.
    pub fn heaps(&self) -> Result<Vec<Heap>> {
        const CALL: &str = "QUERY heaps";
        let bytes = self.query(CALL, raw::DRM_PDDGPU_QUERY_HEAPS, &mut [])?;
        let mut words = vec![0; bytes.div_ceil(size_of::<u64>())];
        self.query(CALL, raw::DRM_PDDGPU_QUERY_HEAPS, &mut words)?;
        heaps_from_words(&words)
            .ok_or_else(|| Error::Unexpected(format!("{CALL}: the answer is cut off")))
    }

    /// [`query`](Self::query) for what drivers from before there were statistics do not know.
    pub(crate) fn query_stats(
        &self,
        call: &'static str,
        query: u32,
        answer: &mut [u64],
    ) -> Result<usize> {
        self.query(call, query, answer).map_err(|error| {
            if error.errno() == Some(Errno::INVAL) {
                Error::NoMemoryStats
            } else {
                error
            }
        })
    }

    /// Asks for as much as fits into `answer`, or how many bytes there are if it is empty.
    fn query(&self, call: &'static str, query: u32, answer: &mut [u64]) -> Result<usize> {
        let size = u32::try_from(size_of_val(answer))
            .map_err(|_| Error::Unexpected(format!("{call}: the answer is too long")))?;
        let mut args = raw::drm_pddgpu_query {
            query,
            size,
            data: answer.as_mut_ptr() as usize as u64,
        };
        // SAFETY: The kernel writes at most `size` bytes at the address, and `answer`, borrowed
        // mutably until the call is over, has as many.
        restart(|| unsafe { self.raw().query(&mut args) }).map_err(Error::call(call))?;
        Ok(args.size as usize)
    }

    /// Creates a buffer.
    pub fn create(&self, create: Create) -> Result<Buffer> {
        Buffer::create(self.clone(), create)
    }
}

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Starts an ioctl again as libdrm does, when a signal or the need to try again ended it.
pub(crate) fn restart<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}

fn driver_name(file: &File) -> io::Result<String> {
    let mut name = Vec::new();
    drm_ffi::get_version(file.as_fd(), Some(&mut name), None, None)?;
    Ok(name
        .iter()
        .map(|&c| char::from(c as u8))
        .take_while(|&c| c != '\0')
        .collect())
}

/// Takes the heaps out of a [`raw::drm_pddgpu_query_heaps`].
fn heaps_from_words(words: &[u64]) -> Option<Vec<Heap>> {
    let heaps = query::entries(words)?.filter_map(|entry| {
        Some(Heap {
            domain: Domain::from_bit(entry.halves(0).0)?,
            total: entry.word(1),
            usable: entry.word(2),
            used: entry.word(3),
            reserved: entry.word(4),
            visible_total: entry.word(5),
            visible_used: entry.word(6),
        })
    });
    Some(heaps.collect())
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::raw::{drm_pddgpu_heap, drm_pddgpu_query_heaps};

    #[test]
    fn heaps_are_words_as_the_parser_takes_them() {
        assert_eq!(offset_of!(drm_pddgpu_query_heaps, num_heaps), 0);
        assert_eq!(offset_of!(drm_pddgpu_query_heaps, heap_size), 4);
        assert_eq!(offset_of!(drm_pddgpu_query_heaps, heaps), 8);
        let fields = [
            offset_of!(drm_pddgpu_heap, domain),
            offset_of!(drm_pddgpu_heap, total),
            offset_of!(drm_pddgpu_heap, usable),
            offset_of!(drm_pddgpu_heap, used),
            offset_of!(drm_pddgpu_heap, reserved),
            offset_of!(drm_pddgpu_heap, visible_total),
            offset_of!(drm_pddgpu_heap, visible_used),
        ];
        assert_eq!(fields, [0, 8, 16, 24, 32, 40, 48]);
        assert_eq!(size_of::<drm_pddgpu_heap>(), 56);
    }

    #[test]
    fn longer_entries_and_unknown_heaps_are_stepped_over() {
        let mut words = vec![3 | (72 << 32)];
        for domain in [4, 0x10, 2] {
            words.push(domain);
            words.extend(domain * 10..domain * 10 + 8);
        }
        let heaps = heaps_from_words(&words).unwrap();
        assert_eq!(heaps.len(), 2);
        assert_eq!((heaps[0].domain, heaps[0].total), (Domain::Vram, 40));
        assert_eq!((heaps[1].domain, heaps[1].visible_used), (Domain::Gtt, 25));
    }

    #[test]
    fn shorter_entries_leave_the_rest_zero() {
        let heaps = heaps_from_words(&[1 | (16 << 32), 1, 99]).unwrap();
        assert_eq!(
            (heaps[0].domain, heaps[0].total, heaps[0].used),
            (Domain::Cpu, 99, 0)
        );
    }

    #[test]
    fn a_cut_off_answer_is_no_answer() {
        assert_eq!(heaps_from_words(&[]), None);
        assert_eq!(heaps_from_words(&[2 | (16 << 32), 1, 99, 2]), None);
    }
}
