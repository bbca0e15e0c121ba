// SPDX-License-Identifier: GPL-2.0

//! The names that programs give to their buffers.

use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::uapi;

const SIZE: usize = uapi::DRM_PDDGPU_LABEL_SIZE as usize;
const WORDS: usize = SIZE / size_of::<u64>();

/// A name, padded with zeroes.
///
/// # Invariants
///
/// All bytes before the first zero are printable ASCII characters. The last byte is zero. So a name
/// cannot end a line of a report, or change the terminal it is shown on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label([u8; SIZE]);

impl Default for Label {
    fn default() -> Self {
        // INVARIANT: There are zeroes only.
        Self([0; SIZE])
    }
}

impl Label {
    /// Makes one of a text.
    ///
    /// # Errors
    ///
    /// `E2BIG` if it is too long; `EINVAL` if it has anything but printable ASCII characters.
    pub(crate) fn new(text: &CStr) -> Result<Self> {
        let text = text.to_bytes();
        let mut label = [0; SIZE];

        label[..SIZE - 1]
            .get_mut(..text.len())
            .ok_or(E2BIG)?
            .copy_from_slice(text);
        if !text.iter().all(|&byte| is_printable(byte)) {
            return Err(EINVAL);
        }
        // INVARIANT: Checked just now. The last byte was left out.
        Ok(Self(label))
    }

    /// All bytes of it.
    pub(crate) fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

/// The name of a buffer, which reports may read at any time. One that is read while it is set may be
/// a mixture of two.
///
/// # Invariants
///
/// The bytes are those of [`Label`]s.
pub(super) struct LabelCell([Atomic<u64>; WORDS]);

impl LabelCell {
    /// No name.
    pub(super) const fn new() -> Self {
        Self([const { Atomic::new(0) }; WORDS])
    }

    /// Sets it. Nobody else sets it meanwhile.
    pub(super) fn set(&self, label: &Label) {
        for (word, bytes) in self.0.iter().zip(label.0.chunks_exact(size_of::<u64>())) {
            let mut number = [0; size_of::<u64>()];

            number.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(number), Relaxed);
        }
    }

    /// Reads it.
    pub(super) fn get(&self) -> Label {
        let mut label = Label::default();

        for (word, bytes) in self
            .0
            .iter()
            .zip(label.0.chunks_exact_mut(size_of::<u64>()))
        {
            bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        // INVARIANT: Each byte, and the last one, is one of some label.
        label
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.split(|&byte| byte == 0).next().unwrap_or(&[]);

        f.write_str(core::str::from_utf8(text).unwrap_or("-"))
    }
}

#[cfg(CONFIG_KUNIT)]
#[path = "../../tests/kunit/memory_stats/label.rs"]
mod kunit;
