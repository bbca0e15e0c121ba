// SPDX-License-Identifier: GPL-2.0

//! A card that lies: what it says instead of the truth, and which orders it does not obey.
//!
//! A seed chooses which kinds of lie the card tells, how long it is honest before it begins, and
//! how often it lies then. So some cards cannot be probed at all, and others fail in the middle of
//! their work. It says nothing that a driver could not know to be false: `README.md` lists what it
//! does not lie about.

use crate::counters::Lies;
use crate::regs::table::{CP_RING_RPTR, IH_RING_WPTR, REGISTERS};

/// The kinds of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A register reads all ones, as if the card were gone.
    Ones,
    /// A register reads any value.
    Random,
    /// A register reads its value with one bit inverted.
    Flipped,
    /// A pointer into a ring leads elsewhere in it, out of it, or into the middle of an entry.
    Pointer,
    /// A fence is not the number of any packet.
    Fence,
    /// An entry of the interrupt ring is another than it should be.
    Entry,
    /// An entry tells of something that has not happened.
    Invented,
    /// An interrupt comes for no reason.
    Raised,
    /// An interrupt does not come.
    Withheld,
    /// The command processor goes on when it is disabled or halted.
    Stop,
    /// The card goes on when it is reset.
    Reset,
}

const KINDS: [Kind; 11] = [
    Kind::Ones,
    Kind::Random,
    Kind::Flipped,
    Kind::Pointer,
    Kind::Fence,
    Kind::Entry,
    Kind::Invented,
    Kind::Raised,
    Kind::Withheld,
    Kind::Stop,
    Kind::Reset,
];

/// Chances to lie that a card lets pass before it begins. A probe has some twenty.
const HONEST_AT_FIRST: [u64; 6] = [0, 0, 25, 60, 200, 1000];

/// A card lies at one in so many chances.
const ONE_IN: [u64; 6] = [1, 2, 5, 10, 30, 100];

/// Interrupts that are raised, or entries that are invented, at once.
const BURST: u64 = 16;

/// Numbers that are the same each time (SplitMix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// The temper of a card that lies.
#[derive(Clone, Debug)]
struct Liar {
    random: Random,
    kinds: Vec<Kind>,
    honest_for: u64,
    one_in: u64,
}

impl Liar {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mask = random.below((1 << KINDS.len()) - 1) + 1;
        let told = |(bit, _): &(usize, Kind)| (mask >> bit) & 1 == 1;
        let kinds = KINDS.into_iter().enumerate().filter(told);
        Liar {
            kinds: kinds.map(|(_, kind)| kind).collect(),
            honest_for: random.pick(&HONEST_AT_FIRST),
            one_in: random.pick(&ONE_IN),
            random,
        }
    }

    /// Whether it lies now, where it could.
    fn lies(&mut self) -> bool {
        if self.honest_for > 0 {
            self.honest_for -= 1;
            return false;
        }
        self.random.below(self.one_in) == 0
    }
}

/// Whether and how a card lies.
#[derive(Clone, Debug, Default)]
pub struct Hostile(Option<Liar>);

impl Hostile {
    /// A card that lies as a seed has it, or that tells the truth if there is none.
    pub fn new(seed: Option<u64>) -> Self {
        Hostile(seed.map(Liar::new))
    }

    /// The kind of lie to tell, if it tells one of these now.
    fn lie(&mut self, kinds: &[Kind]) -> Option<(Kind, &mut Random)> {
        let liar = self.0.as_mut()?;
        let told: Vec<_> = kinds
            .iter()
            .copied()
            .filter(|kind| liar.kinds.contains(kind))
            .collect();
        if told.is_empty() || !liar.lies() {
            return None;
        }
        Some((liar.random.pick(&told), &mut liar.random))
    }

    /// What a read of the four bytes at `offset` gives, where the truth is `value`.
    pub fn register(&mut self, offset: u64, value: u32, lies: &mut Lies) -> u32 {
        let is_pointer = [CP_RING_RPTR, IH_RING_WPTR]
            .iter()
            .any(|register| REGISTERS[register.index()].offset == offset);
        let mut kinds = vec![Kind::Ones, Kind::Random, Kind::Flipped];
        if is_pointer {
            kinds.push(Kind::Pointer);
        }
        let Some((kind, random)) = self.lie(&kinds) else {
            return value;
        };
        if kind == Kind::Pointer {
            lies.lies_pointers += 1;
            return pointer(random, value);
        }
        lies.lies_registers += 1;
        match kind {
            Kind::Ones => u32::MAX,
            Kind::Flipped => value ^ (1 << random.below(32)),
            _ => random.next() as u32,
        }
    }

    /// What a fence is before it is `value`, and whether it stays so. No packet under way has that
    /// number.
    pub fn fence(&mut self, value: u64, lies: &mut Lies) -> Option<(u64, bool)> {
        let (_, random) = self.lie(&[Kind::Fence])?;
        lies.lies_fences += 1;
        let wild = match random.below(5) {
            0 => u64::MAX,
            1 => 0,
            2 => value.saturating_sub(1 + random.below(1 << 16)),
            3 => value.wrapping_add((1 << 40) + random.below(1 << 40)),
            _ => random.next() | (1 << 63),
        };
        Some((wild, random.below(8) == 0))
    }

    /// The source and data of an entry of the interrupt ring on a card with `vram` bytes.
    pub fn entry(&mut self, entry: (u32, u64), vram: u64, lies: &mut Lies) -> (u32, u64) {
        let Some((_, random)) = self.lie(&[Kind::Entry]) else {
            return entry;
        };
        lies.lies_entries += 1;
        wild_entry(random, vram)
    }

    /// Entries of the interrupt ring that tell of nothing that has happened.
    pub fn invented(&mut self, vram: u64, lies: &mut Lies) -> Vec<(u32, u64)> {
        let Some((_, random)) = self.lie(&[Kind::Invented]) else {
            return Vec::new();
        };
        let count = 1 + random.below(BURST);
        lies.lies_entries += count;
        (0..count).map(|_| wild_entry(random, vram)).collect()
    }

    /// How many interrupts are raised for no reason.
    pub fn raised(&mut self, lies: &mut Lies) -> u64 {
        let Some((_, random)) = self.lie(&[Kind::Raised]) else {
            return 0;
        };
        let count = 1 + random.below(BURST);
        lies.lies_interrupts += count;
        count
    }

    /// Whether an interrupt that should be raised is not.
    pub fn withholds(&mut self, lies: &mut Lies) -> bool {
        let withheld = self.lie(&[Kind::Withheld]).is_some();
        lies.lies_interrupts += u64::from(withheld);
        withheld
    }

    /// Whether the command processor goes on although it was disabled or halted.
    pub fn ignores_stop(&mut self, lies: &mut Lies) -> bool {
        let ignored = self.lie(&[Kind::Stop]).is_some();
        lies.lies_stops += u64::from(ignored);
        ignored
    }

    /// Whether the card goes on although it was reset.
    pub fn ignores_reset(&mut self, lies: &mut Lies) -> bool {
        let ignored = self.lie(&[Kind::Reset]).is_some();
        lies.lies_resets += u64::from(ignored);
        ignored
    }
}

/// A pointer that is not `value`.
fn pointer(random: &mut Random, value: u32) -> u32 {
    let step = match random.below(4) {
        // Into the middle of a packet or an entry.
        0 => 1 + random.below(15) as u32,
        // Elsewhere in the ring.
        1 => 32 * (1 + random.below(127) as u32),
        // The overflow bit, and out of any ring.
        2 => 1 << 31,
        _ => 1 << (16 + random.below(15)),
    };
    value.wrapping_add(step)
}

/// An entry of any source, known or not, with data that no card of `vram` bytes should send.
fn wild_entry(random: &mut Random, vram: u64) -> (u32, u64) {
    let source = match random.below(8) {
        0 => random.next() as u32,
        // Half of them are of ECC errors, whose offset a driver uses.
        1..=4 => 4,
        other => other as u32 - 4,
    };
    let data = match random.below(6) {
        0 => u64::MAX,
        1 => u64::MAX - random.below(1 << 13),
        2 => vram.saturating_sub(1 << 12) + random.below(1 << 13),
        3 => random.below(1 << 20),
        4 => random.below(vram.max(1)),
        _ => random.next(),
    };
    (source, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a card says in answer to the same questions.
    fn answers(seed: u64) -> (Vec<u64>, Lies) {
        let mut card = Hostile::new(Some(seed));
        let mut lies = Lies::default();
        let mut said = Vec::new();
        for number in 0..2000 {
            said.push(u64::from(card.register(4 * (number % 256), 7, &mut lies)));
            said.push(card.fence(number, &mut lies).map_or(number, |lie| lie.0));
            said.push(card.entry((1, number), 1 << 20, &mut lies).1);
            said.push(card.invented(1 << 20, &mut lies).len() as u64);
            said.push(card.raised(&mut lies));
            said.push(card.withholds(&mut lies).into());
            said.push(card.ignores_stop(&mut lies).into());
            said.push(card.ignores_reset(&mut lies).into());
        }
        (said, lies)
    }

    #[test]
    fn a_seed_says_the_same_each_time() {
        for seed in 0..20 {
            assert_eq!(answers(seed), answers(seed), "{seed}");
        }
        assert_ne!(answers(1).0, answers(2).0);
    }

    #[test]
    fn every_kind_is_told_by_some_and_not_by_others() {
        let all: Vec<_> = (0..100).map(|seed| answers(seed).1).collect();
        let counts: [fn(&Lies) -> u64; 7] = [
            |lies| lies.lies_registers,
            |lies| lies.lies_pointers,
            |lies| lies.lies_fences,
            |lies| lies.lies_entries,
            |lies| lies.lies_interrupts,
            |lies| lies.lies_stops,
            |lies| lies.lies_resets,
        ];
        for (number, count) in counts.into_iter().enumerate() {
            let liars = all.iter().filter(|lies| count(lies) > 0).count();
            assert!((20..100).contains(&liars), "{number}: {liars} of 100");
        }
    }

    #[test]
    fn some_seeds_are_honest_until_probe_is_over() {
        let late = (0..100).filter(|seed| Liar::new(*seed).honest_for >= 25);
        assert!((40..90).contains(&late.count()));
    }

    #[test]
    fn without_a_seed_all_is_true() {
        let mut card = Hostile::default();
        let mut lies = Lies::default();
        for value in 0..1000 {
            assert_eq!(card.register(0x30c, value, &mut lies), value);
            assert_eq!(card.fence(u64::from(value), &mut lies), None);
            assert!(card.invented(1 << 20, &mut lies).is_empty());
            assert!(!card.withholds(&mut lies) && !card.ignores_reset(&mut lies));
        }
        assert_eq!(lies, Lies::default());
    }

    #[test]
    fn wild_fences_are_of_no_packet_under_way() {
        let mut lies = Lies::default();
        for seed in 0..200 {
            let mut card = Hostile::new(Some(seed));
            for value in 1..2000 {
                if let Some((wild, _)) = card.fence(value, &mut lies) {
                    assert!(wild < value || wild > value + (1 << 32), "{value}: {wild}");
                }
            }
        }
        assert!(lies.lies_fences > 1000);
    }
}
