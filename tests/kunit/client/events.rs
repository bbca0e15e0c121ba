// SPDX-License-Identifier: GPL-2.0

//! What clients are told, and how it is merged.

use crate::kunit::{
    check,
    check_eq, //
};

use super::*;

fn subject(id: u64, to: Option<Domain>) -> Subject {
    Subject {
        id,
        bytes: 4096,
        from: Some(Domain::Vram),
        to,
    }
}

/// The events of a client whose file has no room.
fn events() -> Result<Pin<KBox<Events>>> {
    KBox::pin_init(Events::new(EventSink::new()?), GFP_KERNEL)
}

#[kunit_tests(pddgpu_events)]
mod tests {
    use super::*;

    #[test]
    fn merged_events_have_what_is_common() -> Result {
        let mut unsent = Unsent::default();

        unsent.add(Event::Displaced, subject(3, Some(Domain::Gtt)));
        let one = unsent.take();
        check_eq!(
            (one.sequence, one.count, one.bytes, one.buffer),
            (1, 1, 4096, 3)
        );
        check_eq!(
            (one.from, one.to),
            (Domain::Vram as u32, Domain::Gtt as u32)
        );

        unsent.add(Event::Displaced, subject(3, Some(Domain::Gtt)));
        unsent.add(Event::Displaced, subject(3, Some(Domain::Cpu)));
        let two = unsent.take();
        check_eq!(
            (two.sequence, two.count, two.bytes, two.buffer),
            (3, 2, 8192, 3)
        );
        check_eq!((two.from, two.to), (Domain::Vram as u32, 0));

        for id in 1..=1000 {
            unsent.add(Event::Displaced, subject(id, Some(Domain::Gtt)));
        }
        let all = unsent.take();
        check_eq!(
            (all.sequence, all.count, all.bytes, all.buffer),
            (1003, 1000, 4_096_000, 0)
        );

        unsent.add(Event::Budget(10), Subject::default());
        unsent.add(Event::Budget(7), Subject::default());
        let budget = unsent.take();
        check_eq!((budget.count, budget.bytes), (2, 7));
        Ok(())
    }

    #[test]
    fn what_finds_no_room_is_kept() -> Result {
        let events = events()?;

        check_eq!(events.subscribe(ALL + 1, 0, 0), Err(EINVAL));
        events.tell(Event::Lost, subject(1, None));
        check_eq!(events.state.lock().kinds[Event::Lost.index()].sequence, 0);
        events.subscribe(ALL, 0, 0)?;
        events.tell(Event::Lost, subject(1, None));
        events.tell(Event::Lost, subject(2, None));
        events.flush();
        {
            let state = events.state.lock();
            let lost = &state.kinds[Event::Lost.index()];

            check_eq!((lost.sequence, lost.count, lost.bytes), (2, 2, 8192));
        }
        // What nobody wants to know any more is dropped.
        events.subscribe(ALL & !(1 << Event::Lost.index()), 0, 0)?;
        check_eq!(events.state.lock().kinds[Event::Lost.index()].count, 0);
        Ok(())
    }

    #[test]
    fn small_changes_of_a_budget_are_not_told() -> Result {
        let events = events()?;
        let told = || events.state.lock().kinds[Event::Budget(0).index()].count;

        events.subscribe(ALL, 100, 1000)?;
        check!(events.watches_budget());
        events.tell_budget(901);
        check_eq!(told(), 0);
        events.tell_budget(900);
        check_eq!(told(), 1);
        // From there on.
        events.tell_budget(999);
        check_eq!(told(), 1);
        events.tell_budget(1000);
        check_eq!(told(), 2);
        events.subscribe(0, 0, 0)?;
        check!(!events.watches_budget());
        Ok(())
    }
}
