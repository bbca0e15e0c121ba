// SPDX-License-Identifier: GPL-2.0

//! Memory as ranges: how they are joined, and parts of them.

use super::*;

const PAGE: u64 = PAGE_SIZE as u64;
const MIB: u64 = 1 << 20;

#[kunit_tests(pddgpu_ranges)]
mod tests {
    use super::*;
    use crate::kunit::check_eq;

    fn ranges(from: &[(u64, u64)]) -> Result<Ranges> {
        Ranges::new(from.iter().map(|&(start, bytes)| start..start + bytes))
    }

    #[test]
    fn ranges_are_joined() -> Result {
        let table: [(&[(u64, u64)], usize, u64); 6] = [
            (&[], 0, 0),
            (&[(0, PAGE)], 1, PAGE),
            (&[(0, PAGE), (PAGE, PAGE)], 1, 2 * PAGE),
            (&[(PAGE, PAGE), (0, PAGE)], 2, 2 * PAGE),
            (&[(0, PAGE), (2 * PAGE, PAGE)], 2, 2 * PAGE),
            (
                &[(0, PAGE), (PAGE, MIB), (PAGE + MIB, PAGE), (0, PAGE)],
                2,
                MIB + 3 * PAGE,
            ),
        ];

        for (row, (from, count, bytes)) in table.into_iter().enumerate() {
            let ranges = ranges(from)?;

            check_eq!(ranges.ranges.len(), count, "row {}", row);
            check_eq!(ranges.bytes, bytes, "row {}", row);
            check_eq!(ranges.is_empty(), bytes == 0, "row {}", row);
        }
        Ok(())
    }

    #[test]
    fn parts_make_up_the_whole() -> Result {
        let whole = ranges(&[(0, 3 * PAGE), (8 * PAGE, PAGE), (MIB, 2 * PAGE)])?;

        for (skip, bytes, count) in [
            (0, 6 * PAGE, 3),
            (0, 4, 1),
            (3 * PAGE - 4, 8, 2),
            (PAGE, 4 * PAGE, 3),
            (6 * PAGE, 0, 0),
        ] {
            let mut at = Cursor::default();
            at.advance(&whole, skip);
            let part = whole.part(&mut at, bytes)?;

            check_eq!(part.bytes, bytes);
            check_eq!(part.ranges.len(), count, "{} from {}", bytes, skip);
        }
        let mut at = Cursor::default();
        at.advance(&whole, 4);
        check_eq!(whole.part(&mut at, 6 * PAGE).err(), Some(EINVAL));
        Ok(())
    }
}
