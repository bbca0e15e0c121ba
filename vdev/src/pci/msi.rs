// SPDX-License-Identifier: GPL-2.0

//! The card's one interrupt, an MSI: an eventfd that the client has given, while MSI is enabled.

use std::fs::File;
use std::io::{self, Write};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK,
};

/// The MSI vector.
#[derive(Default)]
pub struct Msi {
    eventfd: Option<File>,
}

impl Msi {
    /// Carries out a client's request to set, clear or trigger the vector.
    ///
    /// # Errors
    ///
    /// If the request is for vectors there are not, or of a kind that MSI does not have.
    pub fn set(&mut self, flags: u32, start: u32, count: u32, fds: Vec<File>) -> io::Result<()> {
        let action = flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
        let data = flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
        let one = start == 0 && count == 1;
        match (action, data) {
            (VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE) if start == 0 && count == 0 => {
                self.eventfd = None;
            }
            (VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE) if one => {
                self.trigger();
            }
            // No descriptor stands for one of -1: nobody listens to the vector.
            (VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD) if one && fds.len() <= 1 => {
                self.eventfd = fds.into_iter().next();
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    /// Whether somebody listens.
    pub fn enabled(&self) -> bool {
        self.eventfd.is_some()
    }

    /// Raises the interrupt; says whether it was delivered.
    pub fn trigger(&self) -> bool {
        self.eventfd
            .as_ref()
            .is_some_and(|mut eventfd| eventfd.write_all(&1_u64.to_ne_bytes()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::event::{eventfd, EventfdFlags};

    use super::*;

    const TRIGGER_EVENTFD: u32 = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
    const TRIGGER_NONE: u32 = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE;

    fn event() -> File {
        File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap())
    }

    fn count(mut event: &File) -> u64 {
        let mut data = [0; 8];
        event
            .read_exact(&mut data)
            .map_or(0, |()| u64::from_ne_bytes(data))
    }

    #[test]
    fn delivered_while_set() {
        let mut msi = Msi::default();
        let event = event();
        assert!(!msi.trigger());
        msi.set(TRIGGER_EVENTFD, 0, 1, vec![event.try_clone().unwrap()])
            .unwrap();
        assert!(msi.enabled() && msi.trigger());
        msi.set(TRIGGER_NONE, 0, 1, vec![]).unwrap();
        assert_eq!(count(&event), 2);
        msi.set(TRIGGER_EVENTFD, 0, 1, vec![]).unwrap();
        assert!(!msi.enabled());
        msi.set(TRIGGER_EVENTFD, 0, 1, vec![event.try_clone().unwrap()])
            .unwrap();
        msi.set(TRIGGER_NONE, 0, 0, vec![]).unwrap();
        assert!(!msi.trigger());
        assert_eq!(count(&event), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut msi = Msi::default();
        for (flags, start, count, fds) in [
            (TRIGGER_EVENTFD, 1, 1, 1),
            (TRIGGER_EVENTFD, 0, 2, 2),
            (TRIGGER_EVENTFD, 0, 1, 2),
            (TRIGGER_NONE, 0, u32::MAX, 0),
            (VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, 1),
            (VFIO_IRQ_SET_DATA_EVENTFD, 0, 1, 1),
            (0, 0, 0, 0),
            (u32::MAX, 0, 1, 1),
        ] {
            let fds = (0..fds).map(|_| event()).collect();
            assert!(msi.set(flags, start, count, fds).is_err(), "{flags:#x}");
            assert!(!msi.enabled());
        }
    }
}
