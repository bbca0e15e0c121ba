// SPDX-License-Identifier: GPL-2.0

//! What each client has: handles that come and go, buffers that move, and jobs that use them.

use crate::kunit::{
    check,
    check_eq, //
};

use crate::abstractions::drm::{
    EventSink,
    MemoryStats, //
};

use super::*;

const SIZE: u64 = 1 << 20;

fn bytes(total: u64, shared: u64, resident: u64) -> MemoryStats {
    MemoryStats {
        shared,
        private: total - shared,
        resident,
        purgeable: 0,
        active: 0,
    }
}

/// A buffer in VRAM.
fn buffer() -> Result<Arc<Holders>> {
    let holders = Holders::new(SIZE, Domain::Vram, None, Ledger::new()?)?;

    holders.set_place(Some(Domain::Vram));
    Ok(holders)
}

#[kunit_tests(pddgpu_client)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_counts_once_for_all_handles_of_a_client() -> Result {
        let client = Client::new(EventSink::new()?)?;
        let buffer = buffer()?;

        buffer.add_handle(&client)?;
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, 0, SIZE));
        buffer.add_handle(&client)?;
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, SIZE, SIZE));
        buffer.remove_handle(&client);
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, 0, SIZE));
        buffer.remove_handle(&client);
        check_eq!(client.memory(Domain::Vram), bytes(0, 0, 0));
        Ok(())
    }

    #[test]
    fn so_many_clients_can_have_a_buffer() -> Result {
        let buffer = buffer()?;
        let mut clients = KVec::new();

        for _ in 0..MAX_CLIENTS {
            let client = Client::new(EventSink::new()?)?;

            buffer.add_handle(&client)?;
            clients.push(client, GFP_KERNEL)?;
        }
        let late = Client::new(EventSink::new()?)?;
        check_eq!(buffer.add_handle(&late), Err(EMLINK));
        check_eq!(late.memory(Domain::Vram), bytes(0, 0, 0));
        // Who has it already gets further handles.
        buffer.add_handle(&clients[0])?;
        buffer.remove_handle(&clients[0]);

        buffer.remove_handle(&clients[1]);
        buffer.add_handle(&late)?;
        check_eq!(late.memory(Domain::Vram), bytes(SIZE, SIZE, SIZE));
        Ok(())
    }

    #[test]
    fn a_buffer_counts_for_each_client_that_has_it() -> Result {
        let buffer = buffer()?;
        let mut clients = KVec::new();

        for _ in 0..9 {
            clients.push(Client::new(EventSink::new()?)?, GFP_KERNEL)?;
        }
        for client in &clients {
            buffer.add_handle(client)?;
        }
        // In an order in which no one keeps its place.
        while let Some(gone) = (!clients.is_empty()).then_some(clients.len() / 2) {
            let shared = if clients.len() > 1 { SIZE } else { 0 };
            for client in &clients {
                check_eq!(client.memory(Domain::Vram), bytes(SIZE, shared, SIZE));
            }
            let gone = clients.remove(gone).map_err(|_| EINVAL)?;

            buffer.remove_handle(&gone);
            check_eq!(gone.memory(Domain::Vram), bytes(0, 0, 0));
        }
        Ok(())
    }

    #[test]
    fn an_exported_buffer_is_shared() -> Result {
        let client = Client::new(EventSink::new()?)?;
        let buffer = buffer()?;

        buffer.add_handle(&client)?;
        buffer.add_export()?;
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, SIZE, SIZE));
        buffer.remove_export();
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, 0, SIZE));
        Ok(())
    }

    #[test]
    fn a_buffer_that_is_elsewhere_is_displaced() -> Result {
        let client = Client::new(EventSink::new()?)?;
        let buffer = buffer()?;

        buffer.add_handle(&client)?;
        check_eq!(client.displaced(Domain::Vram), 0);
        buffer.set_place(Some(Domain::Gtt));
        check_eq!(client.memory(Domain::Vram), bytes(SIZE, 0, 0));
        check_eq!(client.memory(Domain::Gtt), bytes(0, 0, SIZE));
        check_eq!(client.displaced(Domain::Vram), SIZE);
        buffer.set_wanted(Domain::Gtt);
        check_eq!(client.memory(Domain::Gtt), bytes(SIZE, 0, SIZE));
        check_eq!(client.displaced(Domain::Vram), 0);
        buffer.set_place(None);
        check_eq!(client.memory(Domain::Gtt), bytes(SIZE, 0, 0));
        Ok(())
    }

    #[test]
    fn a_buffer_is_active_until_its_last_job_ends() -> Result {
        let client = Client::new(EventSink::new()?)?;
        let buffer = buffer()?;
        let active = || client.memory(Domain::Vram).active;

        buffer.add_handle(&client)?;
        let first = Busy::new(buffer.clone());
        let second = Busy::new(buffer.clone());
        check_eq!(active(), SIZE);
        first.end();
        check_eq!(active(), SIZE);
        drop(first);
        check_eq!(active(), SIZE);
        drop(second);
        check_eq!(active(), 0);
        check!(buffer.served().is_none());
        Ok(())
    }
}
