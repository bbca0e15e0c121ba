// SPDX-License-Identifier: GPL-2.0

//! Events: what the driver tells a client about its memory.

use rustix::io::Errno;
use serde::Serialize;
use zerocopy::{FromBytes, IntoBytes};

use crate::{
    card::{retry_interrupted, Card},
    domain::Domain,
    error::{Error, Result},
    flags::Events,
    raw,
};

/// Something that happened to the memory of a client, or several such things of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What happened. Empty for a kind that this library does not know.
    pub kind: Events,
    /// How many events of this kind the client has had, with the last one of these.
    pub sequence: u64,
    /// How many these are.
    pub count: u64,
    /// Bytes of the buffers, of all together; for a budget how much that is now.
    pub bytes: u64,
    /// The number of the buffer. `None` if it is not the same for all, or there is none.
    pub buffer: Option<u64>,
    /// Where it was. `None` if that is not the same for all.
    pub from: Option<Domain>,
    /// Where it is. `None` if that is not the same for all.
    pub to: Option<Domain>,
}

impl Card {
    /// Has the driver tell this client of these kinds of events from now on, and of a budget that has
    /// changed by so many bytes.
    pub fn subscribe(&self, events: Events, threshold: u64) -> Result<()> {
        let args = raw::drm_pddgpu_subscribe {
            mask: events.bits(),
            threshold,
            ..Default::default()
        };
        retry_interrupted(|| self.raw().subscribe(args)).map_err(Error::from_call("SUBSCRIBE"))
    }

    /// Reads events, and waits for the first one.
    pub fn read_events(&self) -> Result<Vec<Event>> {
        let mut bytes = [0; 4096];
        let read = loop {
            match rustix::io::read(self, &mut bytes) {
                Err(Errno::INTR) => {}
                result => break result.map_err(Error::from_call("read"))?,
            }
        };
        decode(&bytes[..read])
    }
}

/// The events in what was read. Each begins with its length.
fn decode(mut bytes: &[u8]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let cut = || Error::Unexpected("an event is cut off".into());
        let (head, _) = raw::drm_event::read_from_prefix(bytes).map_err(|_| cut())?;
        let length = head.length as usize;
        if length < size_of::<raw::drm_event>() {
            return Err(cut());
        }
        let (event, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
        let mut structure = raw::drm_pddgpu_event::default();
        let known = length.min(size_of::<raw::drm_pddgpu_event>());
        structure.as_mut_bytes()[..known].copy_from_slice(&event[..known]);
        events.push(Event::from_raw(&structure));
        bytes = rest;
    }
    Ok(events)
}

impl Event {
    fn from_raw(event: &raw::drm_pddgpu_event) -> Self {
        let kind = event.base.type_.wrapping_sub(raw::DRM_PDDGPU_EVENT_BUDGET);
        Self {
            kind: Events::from_bits_truncate(1_u32.checked_shl(kind).unwrap_or(0)),
            sequence: event.sequence,
            count: event.count,
            bytes: event.bytes,
            buffer: (event.buffer != 0).then_some(event.buffer),
            from: Domain::from_bit(event.from),
            to: Domain::from_bit(event.to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(type_: u32, length: u32) -> raw::drm_pddgpu_event {
        raw::drm_pddgpu_event {
            base: raw::drm_event { type_, length },
            sequence: 9,
            count: 2,
            bytes: 4096,
            buffer: 7,
            from: raw::PDDGPU_GEM_DOMAIN_VRAM,
            to: 0,
        }
    }

    #[test]
    fn events_follow_each_other() {
        let length = size_of::<raw::drm_pddgpu_event>() as u32;
        let bytes = [
            event(raw::DRM_PDDGPU_EVENT_DISPLACED, length).as_bytes(),
            event(raw::DRM_PDDGPU_EVENT_LOST, length + 8).as_bytes(),
            &[0xff; 8],
        ]
        .concat();
        let events = decode(&bytes).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].kind, Events::DISPLACED);
        assert_eq!(events[1].kind, Events::LOST);
        assert_eq!((events[0].sequence, events[0].buffer), (9, Some(7)));
        assert_eq!((events[0].from, events[0].to), (Some(Domain::Vram), None));
    }

    #[test]
    fn unknown_events_have_no_kind() {
        for type_ in [0, 1, 0x8000_0006, 0x8000_0020, u32::MAX] {
            let event = event(type_, size_of::<raw::drm_pddgpu_event>() as u32);
            assert_eq!(Event::from_raw(&event).kind, Events::empty(), "{type_:#x}");
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for length in [0, 7, 57, u32::MAX] {
            let event = event(raw::DRM_PDDGPU_EVENT_LOST, length);
            assert!(decode(event.as_bytes()).is_err(), "{length}");
        }
        assert!(decode(&[1, 2, 3]).is_err());
    }
}
