// SPDX-License-Identifier: GPL-2.0

//! Open cards: how they are found, and how the driver is asked about them.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{fstat, major, minor},
    io::Errno,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::{
    error::{Error, Result},
    query::{self, Query},
    raw::{self, Raw},
};

/// The name by which the DRM driver calls itself.
const DRIVER: &str = "pddgpu";

/// Where the kernel puts the nodes of DRM devices.
const NODES: &str = "/dev/dri";

/// An open card. To the driver it is one client, with buffer handles of its own.
///
/// Clones share the open file.
#[derive(Clone, Debug)]
pub struct Card {
    file: Arc<File>,
    path: PathBuf,
}

impl Card {
    /// Opens a render or primary node.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|cause| match cause.kind() {
                io::ErrorKind::PermissionDenied => Error::Denied { path: path.into() },
                // A folder, for one.
                io::ErrorKind::IsADirectory => Error::NoCard { path: path.into() },
                _ => Error::from_file(path)(cause),
            })?;
        let driver = driver_name(&file).map_err(|cause| match Errno::from_io_error(&cause) {
            Some(Errno::NOTTY | Errno::INVAL) => Error::NoCard { path: path.into() },
            _ => Error::from_file(path)(cause),
        })?;
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

    /// Opens the render node of the first card.
    pub fn find() -> Result<Self> {
        let (cards, denied) = Self::search()?;
        cards.into_iter().next().ok_or(Error::NotFound { denied })
    }

    /// Opens the render nodes of all cards, in the order of their minor numbers. Nodes that this
    /// process may not open are left out.
    pub fn all() -> Result<Vec<Self>> {
        Self::search().map(|(cards, _)| cards)
    }

    /// Opens the render nodes of all cards and lists the nodes that this process may not open.
    fn search() -> Result<(Vec<Self>, Vec<PathBuf>)> {
        let entries = match fs::read_dir(NODES) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(e) => return Err(Error::from_file(NODES)(e)),
        };
        let mut nodes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::from_file(NODES))?;
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
                // The node belongs to another driver, or went away meanwhile.
                Err(_) => {}
            }
        }
        Ok((cards, denied))
    }

    /// The path of the node that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The card's folder in sysfs.
    fn device_dir(&self) -> Result<PathBuf> {
        let stat = fstat(self).map_err(Error::from_call("fstat"))?;
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        let path = format!("/sys/dev/char/{major}:{minor}/device");
        fs::canonicalize(&path).map_err(Error::from_file(&path))
    }

    /// The card's address on its bus, such as `0000:00:02.0`.
    pub fn address(&self) -> Result<String> {
        let folder = self.device_dir()?;
        let name = folder.file_name().unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// The paths of all nodes of the card.
    pub fn nodes(&self) -> Result<Vec<String>> {
        let path = self.device_dir()?.join("drm");
        let entries = fs::read_dir(&path).map_err(Error::from_file(&path))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let nodes = names.map(|name| format!("{NODES}/{}", name.to_string_lossy()));
        Ok(nodes.collect())
    }

    /// The number that the DRM core has given this client, as in fdinfo.
    pub fn client_id(&self) -> Result<u64> {
        let path = format!("/proc/self/fdinfo/{}", self.as_fd().as_raw_fd());
        let text = fs::read_to_string(&path).map_err(Error::from_file(&path))?;
        text.lines()
            .find_map(|line| line.strip_prefix("drm-client-id:")?.trim().parse().ok())
            .ok_or_else(|| Error::Unexpected(format!("{path}: no drm-client-id")))
    }

    /// The ioctls themselves, without any checks.
    pub fn raw(&self) -> Raw<'_> {
        Raw {
            fd: self.file.as_fd(),
        }
    }

    /// Asks the driver for a structure.
    pub(crate) fn query<T: FromBytes + IntoBytes>(&self, query: Query) -> Result<T> {
        query::read_structure(query, |room| self.fill(query, room))
    }

    /// Asks the driver for a list.
    pub(crate) fn query_list<T: FromBytes + IntoBytes>(&self, query: Query) -> Result<Vec<T>> {
        query::read_list(query, |room| self.fill(query, room))
    }

    /// Has the driver write as much of its answer as there is room for, and gives the number of
    /// bytes written. Without any room it gives the number of bytes that the answer has.
    fn fill(&self, query: Query, room: &mut [u8]) -> Result<usize> {
        let mut args = raw::drm_pddgpu_query {
            query: query.number,
            size: room.len().try_into().unwrap_or(u32::MAX),
            data: room.as_mut_ptr() as usize as u64,
        };
        // SAFETY: The kernel writes at most `size` bytes at the address. `room` has at least as
        // many, and it is borrowed mutably until the call is over.
        retry_interrupted(|| unsafe { self.raw().query(&mut args) })
            .map_err(Error::from_call(query.name))?;
        Ok(args.size as usize)
    }
}

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Calls an ioctl again as long as signals interrupt it, or it asks to be called again. libdrm's
/// `drmIoctl()` does the same.
pub(crate) fn retry_interrupted<T>(
    mut call: impl FnMut() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}

/// The name of the DRM driver behind an open node.
fn driver_name(file: &File) -> io::Result<String> {
    let mut name = Vec::new();
    drm_ffi::get_version(file.as_fd(), Some(&mut name), None, None)?;
    Ok(name
        .iter()
        .map(|&c| char::from(c as u8))
        .take_while(|&c| c != '\0')
        .collect())
}
