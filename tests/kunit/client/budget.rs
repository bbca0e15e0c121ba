// SPDX-License-Identifier: GPL-2.0

//! How VRAM is shared.

use crate::kunit::{
    check,
    check_eq, //
};

use crate::abstractions::drm::EventSink;

use super::*;

const MIB: u64 = 1 << 20;

fn want(demand: u64, floor: u64) -> Want {
    Want {
        demand: demand * MIB,
        floor: floor * MIB,
    }
}

/// Whether a client keeps what it has, while these are evicted.
fn keeps(budgets: &Budgets, client: &Client, victims: Victims) -> bool {
    budgets.set_victims(victims);
    budgets.keeps(client)
}

/// A client that has so many MiB in VRAM.
fn client(budgets: &Arc<Budgets>, mib: i64) -> Result<(Arc<Client>, Member)> {
    use crate::client::usage::Share;

    let client = Client::new(EventSink::new()?)?;
    let member = budgets.join(&client)?;
    let share = Share {
        wanted: Domain::Vram,
        place: Some(Domain::Vram),
        shared: false,
        purgeable: false,
        active: false,
    };

    client.recount(None, Some(&share), mib << 20);
    Ok((client, member))
}

#[kunit_tests(pddgpu_budget)]
mod tests {
    use super::*;

    #[test]
    fn water_finds_its_level() -> Result {
        for (usable, wants, level) in [
            (100, &[][..], None),
            (100, &[want(100, 0)], None),
            (100, &[want(101, 0)], Some(100)),
            (100, &[want(60, 0), want(40, 0)], None),
            (100, &[want(100, 0), want(100, 0)], Some(50)),
            // What one does not want the others share.
            (100, &[want(20, 0), want(100, 0), want(100, 0)], Some(40)),
            (100, &[want(10, 0), want(30, 0), want(1000, 0)], Some(60)),
            // A reservation is a floor.
            (100, &[want(100, 50), want(100, 0), want(100, 0)], Some(25)),
            // One that is not used up is nobody's loss.
            (100, &[want(10, 50), want(100, 0)], Some(90)),
            // One below the level changes nothing.
            (100, &[want(100, 20), want(100, 0)], Some(50)),
            // VRAM has shrunk below what was reserved.
            (10, &[want(50, 50), want(100, 0)], Some(0)),
            (0, &[want(1, 0)], Some(0)),
        ] {
            let is = water_level(usable * MIB, wants);

            check_eq!(
                is,
                level.map_or(u64::MAX, |mib| mib * MIB),
                "{usable}: {level:?}"
            );
        }
        // Whatever it is rounded to, it fits.
        let wants = [want(100, 0), want(100, 0), want(100, 0)];
        let level = water_level(100 * MIB, &wants);
        check!(
            3 * level <= 100 * MIB && 3 * level + 3 * 4096 > 100 * MIB,
            "{level}"
        );
        check_eq!(water_level(u64::MAX, &[want(1, 0)]), u64::MAX);
        let endless = Want {
            demand: u64::MAX,
            floor: 0,
        };
        check!(water_level(100 * MIB, &[endless, endless]) == 50 * MIB);
        Ok(())
    }

    #[test]
    fn who_has_too_much_gives() -> Result {
        let budgets = Budgets::new()?;
        let (small, _a) = client(&budgets, 20)?;
        let (hog, _b) = client(&budgets, 80)?;

        check!(
            keeps(&budgets, &small, Victims::OverBudget)
                && keeps(&budgets, &hog, Victims::OverBudget)
        );
        {
            // What is asked for counts as if it was there.
            let asking = budgets.ask(&small, 10 * MIB, 100 * MIB);

            check!(budgets.is_entitled(&asking));
            check!(keeps(&budgets, &small, Victims::OverBudget));
            check!(!keeps(&budgets, &hog, Victims::OverBudget));
            check!(!keeps(&budgets, &small, Victims::Everyone));
        }
        let asking = budgets.ask(&hog, 10 * MIB, 100 * MIB);
        check!(!budgets.is_entitled(&asking));
        check!(!keeps(&budgets, &hog, Victims::OverBudget));
        check!(keeps(&budgets, &small, Victims::OverBudget));
        Ok(())
    }

    #[test]
    fn what_is_reserved_is_kept() -> Result {
        let budgets = Budgets::new()?;
        let (small, _a) = client(&budgets, 20)?;
        let (hog, _b) = client(&budgets, 80)?;

        budgets.reserve(&small, 20 * MIB, 100 * MIB)?;
        check!(
            keeps(&budgets, &small, Victims::Everyone) && !keeps(&budgets, &hog, Victims::Everyone)
        );
        {
            // Its own call may take it.
            let _asking = budgets.ask(&small, MIB, 100 * MIB);

            check!(!keeps(&budgets, &small, Victims::Everyone));
        }
        check!(keeps(&budgets, &small, Victims::Everyone));
        // One byte less, and it is more than it may have.
        budgets.reserve(&small, 20 * MIB - 1, 100 * MIB)?;
        check!(!keeps(&budgets, &small, Victims::Everyone));
        Ok(())
    }

    #[test]
    fn reservations_share_one_half() -> Result {
        let budgets = Budgets::new()?;
        let (one, a) = client(&budgets, 0)?;
        let (two, _b) = client(&budgets, 0)?;

        check_eq!(budgets.reserve(&one, 50 * MIB + 1, 100 * MIB), Err(ENOSPC));
        check_eq!(budgets.reserve(&one, u64::MAX, 100 * MIB), Err(ENOSPC));
        check_eq!(budgets.budget(&one, 100 * MIB).reservation, 0);
        budgets.reserve(&one, 30 * MIB, 100 * MIB)?;
        check_eq!(budgets.budget(&two, 100 * MIB).reservable, 20 * MIB);
        check_eq!(budgets.budget(&one, 100 * MIB).reservable, 50 * MIB);
        check_eq!(budgets.reserve(&two, 20 * MIB + 1, 100 * MIB), Err(ENOSPC));
        budgets.reserve(&two, 20 * MIB, 100 * MIB)?;
        drop(a);
        check_eq!(budgets.budget(&two, 100 * MIB).reservable, 50 * MIB);
        Ok(())
    }

    #[test]
    fn a_card_that_shrinks_keeps_what_it_can() -> Result {
        let budgets = Budgets::new()?;
        let (one, _a) = client(&budgets, 30)?;
        let (two, _b) = client(&budgets, 20)?;

        budgets.reserve(&one, 30 * MIB, 100 * MIB)?;
        budgets.reserve(&two, 20 * MIB, 100 * MIB)?;
        // Half of it would now be less than what is reserved. That stays, and may be made less.
        let budget = budgets.budget(&one, 60 * MIB);
        check_eq!(
            (budget.reservation, budget.reservable),
            (30 * MIB, 30 * MIB)
        );
        budgets.reserve(&one, 30 * MIB, 60 * MIB)?;
        check!(
            keeps(&budgets, &one, Victims::Everyone) && keeps(&budgets, &two, Victims::Everyone)
        );
        // Less than what is reserved is left: the larger one gives, so that somebody can.
        budgets.reserve(&two, 20 * MIB, 40 * MIB)?;
        check!(
            !keeps(&budgets, &one, Victims::Everyone) && keeps(&budgets, &two, Victims::Everyone)
        );
        check_eq!(budgets.reserve(&two, 21 * MIB, 40 * MIB), Err(ENOSPC));
        Ok(())
    }
}
