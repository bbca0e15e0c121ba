// SPDX-License-Identifier: GPL-2.0

//! Answers of `DRM_IOCTL_PDDGPU_QUERY` that are lists.

/// One entry of a list, which may be longer or shorter than the one known here: what follows the
/// known fields is ignored, and what an older kernel does not fill is zero.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a>(&'a [u64]);

impl Entry<'_> {
    /// The field of 64 bits that is eight times `n` bytes into the entry.
    pub(crate) fn word(&self, n: usize) -> u64 {
        self.0.get(n).copied().unwrap_or(0)
    }

    /// The two fields of 32 bits there.
    pub(crate) fn halves(&self, n: usize) -> (u32, u32) {
        let bytes = self.word(n).to_ne_bytes();
        let half = |at: usize| {
            let half = std::array::from_fn(|i| bytes[at + i]);
            u32::from_ne_bytes(half)
        };
        (half(0), half(4))
    }
}

/// The bytes that a whole list takes up, by what its head says. The head is how many entries follow
/// and how many bytes it is from one to the next, 32 bits each.
pub(crate) fn bytes(words: &[u64]) -> Option<usize> {
    let (count, stride) = Entry(words.get(..1)?).halves(0);
    (stride as usize)
        .checked_mul(count as usize)?
        .checked_add(size_of::<u64>())
}

/// The entries of a list, or nothing if there are fewer than its head says or they are of no whole
/// words.
pub(crate) fn entries(words: &[u64]) -> Option<impl Iterator<Item = Entry<'_>>> {
    let (count, stride) = Entry(words.get(..1)?).halves(0);
    if stride as usize % size_of::<u64>() != 0 {
        return None;
    }
    let stride = stride as usize / size_of::<u64>();
    let whole = words[1..].get(..stride.checked_mul(count as usize)?)?;
    // Entries of no length cannot be told apart, nor do they say anything.
    Some(whole.chunks_exact(stride.max(1)).map(Entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_as_long_as_the_head_says() {
        let words = [2 | (16 << 32), 10, 11, 20, 21, 99];
        assert_eq!(bytes(&words), Some(40));
        let entries: Vec<_> = entries(&words).unwrap().collect();
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[1].word(0), entries[1].word(1)), (20, 21));
        assert_eq!(entries[1].word(2), 0);
    }

    #[test]
    fn halves_are_in_the_order_of_memory() {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&7u32.to_ne_bytes());
        bytes[4..].copy_from_slice(&9u32.to_ne_bytes());
        assert_eq!(Entry(&[u64::from_ne_bytes(bytes)]).halves(0), (7, 9));
    }

    #[test]
    fn a_cut_off_list_is_no_list() {
        assert!(entries(&[]).is_none());
        assert!(entries(&[2 | (16 << 32), 1, 99, 2]).is_none());
        assert!(entries(&[u64::MAX]).is_none());
        assert!(entries(&[1 | (12 << 32), 1, 2]).is_none());
        assert_eq!(bytes(&[]), None);
    }

    #[test]
    fn an_empty_list_has_no_entries() {
        assert_eq!(entries(&[0]).unwrap().count(), 0);
        assert_eq!(entries(&[5]).unwrap().count(), 0);
    }
}
