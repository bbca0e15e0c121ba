// SPDX-License-Identifier: GPL-2.0

//! Whose memory it is: each piece is in one entry of the books, whatever happens to its buffer.

use crate::{
    abstractions::drm::EventSink,
    client::{
        Client,
        Holders, //
    },
    kunit::check_eq,
    uapi::Domain, //
};

use super::*;

const VRAM: Account = Account::Heap(Domain::Vram);
const GTT: Account = Account::Heap(Domain::Gtt);
const SIZE: u64 = 1 << 20;

fn client() -> Result<Arc<Client>> {
    Client::new(EventSink::new()?)
}

/// Checks what belongs to each in VRAM: clients, dma-bufs, mappings, the kernel, and what arrives and
/// leaves.
fn check(ledger: &Ledger, expected: [u64; Keeper::COUNT]) -> Result {
    let snapshot = ledger.reader().snapshot();

    check_eq!(
        snapshot.holdings.map(|holding| holding.bytes(VRAM)),
        expected
    );
    check_eq!(snapshot.total(VRAM), expected.iter().sum::<u64>());
    Ok(())
}

/// What a client has.
fn has(ledger: &Ledger, client: &Client, account: Account) -> u64 {
    ledger.reader().snapshot().of_client(client).bytes(account)
}

/// What anybody has.
fn total(ledger: &Ledger, account: Account) -> u64 {
    ledger.reader().snapshot().total(account)
}

#[kunit_tests(pddgpu_ledger)]
mod tests {
    use super::*;

    #[test]
    fn memory_belongs_to_who_holds_the_buffer() -> Result {
        let ledger = Ledger::new()?;
        let holders = Holders::new(SIZE, Domain::Vram, None, ledger.clone())?;
        let (first, second) = (client()?, client()?);
        let booked = ledger.allocated(VRAM, SIZE);

        check(&ledger, [0, 0, 0, 0, SIZE, 0])?;
        holders.arrived(&booked);
        check(&ledger, [0, 0, 0, SIZE, 0, 0])?;
        holders.add_handle(&first)?;
        holders.add_handle(&first)?;
        check(&ledger, [SIZE, 0, 0, 0, 0, 0])?;

        // It counts for one of several.
        holders.add_handle(&second)?;
        check_eq!(has(&ledger, &first, VRAM), SIZE);
        check_eq!(has(&ledger, &second, VRAM), 0);
        holders.remove_handle(&first);
        holders.remove_handle(&first);
        check_eq!(has(&ledger, &first, VRAM), 0);
        check_eq!(has(&ledger, &second, VRAM), SIZE);
        check_eq!(ledger.reader().snapshot().of_client(&second).buffers(), 1);

        holders.add_mapping();
        holders.add_export()?;
        check(&ledger, [SIZE, 0, 0, 0, 0, 0])?;
        holders.remove_handle(&second);
        check(&ledger, [0, SIZE, 0, 0, 0, 0])?;
        holders.remove_export();
        check(&ledger, [0, 0, SIZE, 0, 0, 0])?;
        holders.remove_mapping();
        check(&ledger, [0, 0, 0, SIZE, 0, 0])?;
        holders.leave();
        holders.leave();
        check(&ledger, [0, 0, 0, 0, 0, SIZE])?;
        ledger.freed(&booked);
        check(&ledger, [0; Keeper::COUNT])
    }

    #[test]
    fn a_move_passes_it_from_one_heap_to_the_other() -> Result {
        let ledger = Ledger::new()?;
        let holders = Holders::new(SIZE, Domain::Vram, None, ledger.clone())?;
        let client = client()?;
        let old = ledger.allocated(VRAM, SIZE);

        holders.arrived(&old);
        holders.add_handle(&client)?;

        // One that fails: it never left, or comes back.
        let failed = ledger.allocated(GTT, SIZE);
        holders.arrived(&old);
        holders.leave();
        holders.arrived(&old);
        ledger.freed(&failed);
        check(&ledger, [SIZE, 0, 0, 0, 0, 0])?;

        let new = ledger.allocated(GTT, SIZE);
        holders.leave();
        holders.arrived(&new);
        check(&ledger, [0, 0, 0, 0, 0, SIZE])?;
        check_eq!(has(&ledger, &client, GTT), SIZE);
        ledger.freed(&old);
        check(&ledger, [0; Keeper::COUNT])?;
        check_eq!(total(&ledger, GTT), SIZE);
        holders.leave();
        ledger.freed(&new);
        check_eq!(total(&ledger, GTT), 0);
        Ok(())
    }

    #[test]
    fn a_move_that_ends_after_the_free_leaves_nothing() -> Result {
        let ledger = Ledger::new()?;
        let holders = Holders::new(SIZE, Domain::Vram, None, ledger.clone())?;
        let old = ledger.allocated(VRAM, SIZE);
        let new = ledger.allocated(GTT, SIZE);

        holders.arrived(&old);
        holders.leave();
        holders.freed();
        holders.arrived(&new);
        check(&ledger, [0, 0, 0, 0, 0, SIZE])?;
        check_eq!(
            ledger.reader().snapshot().of(Keeper::Leaving).bytes(GTT),
            SIZE
        );
        ledger.freed(&old);
        ledger.freed(&new);
        check(&ledger, [0; Keeper::COUNT])?;
        check_eq!(total(&ledger, GTT), 0);
        Ok(())
    }

    #[test]
    fn what_never_arrived_is_given_back() -> Result {
        let ledger = Ledger::new()?;
        let booked = ledger.allocated(Account::Hop, SIZE);

        check_eq!(total(&ledger, Account::Hop), SIZE);
        check_eq!(total(&ledger, GTT), 0);
        ledger.freed(&booked);
        check_eq!(total(&ledger, Account::Hop), 0);
        Ok(())
    }
    #[test]
    fn a_snapshot_stays_as_it_was() -> Result {
        let ledger = Ledger::new()?;
        let holders = Holders::new(SIZE, Domain::Vram, None, ledger.clone())?;
        let (first, second) = (client()?, client()?);
        let booked = ledger.allocated(VRAM, SIZE);

        holders.arrived(&booked);
        holders.add_handle(&first)?;
        let snapshot = ledger.reader().snapshot();

        // It goes from one who is not read yet to one who is, and back.
        check_eq!(snapshot.of_client(&second).bytes(VRAM), 0);
        holders.add_handle(&second)?;
        holders.remove_handle(&first);
        let newcomer = client()?;
        holders.add_handle(&newcomer)?;
        holders.remove_handle(&second);
        check_eq!(snapshot.of_client(&first).bytes(VRAM), SIZE);
        check_eq!(snapshot.of_client(&second).bytes(VRAM), 0);
        check_eq!(snapshot.of_client(&newcomer).bytes(VRAM), 0);
        check_eq!(snapshot.of_clients().bytes(VRAM), SIZE);
        drop(snapshot);

        check_eq!(has(&ledger, &first, VRAM), 0);
        check_eq!(has(&ledger, &newcomer, VRAM), SIZE);
        holders.remove_handle(&newcomer);
        holders.freed();
        ledger.freed(&booked);
        check(&ledger, [0; Keeper::COUNT])
    }
}
