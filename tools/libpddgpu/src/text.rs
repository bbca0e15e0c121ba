// SPDX-License-Identifier: GPL-2.0

//! Texts in structures of the ABI.

/// The text in a field that is padded with zeroes.
pub(crate) fn from_field(field: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&letter| letter as u8).collect();
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
    String::from_utf8_lossy(text).into_owned()
}
