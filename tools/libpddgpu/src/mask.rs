// SPDX-License-Identifier: GPL-2.0

//! How masks of the ABI are written and read as text.

use std::fmt;

/// Writes a mask as the names of its bits with `|` between them, or as `-` when it is empty. All
/// bits without a name become one hexadecimal number.
pub(crate) fn write_names<M: bitflags::Flags<Bits = u32>>(
    mask: &M,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut names: Vec<String> = mask.iter_names().map(|(name, _)| name.to_owned()).collect();
    let unnamed = mask.bits() & !M::all().bits();
    if unnamed != 0 {
        names.push(format!("{unnamed:#x}"));
    }
    f.pad(&if names.is_empty() {
        "-".to_owned()
    } else {
        names.join("|")
    })
}

/// Reads names with `,` or `|` between them, in upper or lower case. `VRAM_` at the beginning of a
/// name may be left out. `-` and the empty text are the empty mask. `kind` is what error messages
/// call a name.
pub(crate) fn parse_names<M: bitflags::Flags<Bits = u32>>(
    text: &str,
    kind: &str,
) -> Result<M, String> {
    let mut mask = M::empty();
    for word in text.split([',', '|']).map(str::trim) {
        if word.is_empty() || word == "-" {
            continue;
        }
        let name = word.replace('-', "_").to_ascii_uppercase();
        let bits = M::from_name(&name)
            .or_else(|| M::from_name(&format!("VRAM_{name}")))
            .ok_or_else(|| format!("unknown {kind} '{word}': there are {}", known::<M>()))?;
        mask.insert(bits);
    }
    Ok(mask)
}

/// All names there are, as users write them.
fn known<M: bitflags::Flags>() -> String {
    let names = M::FLAGS.iter().map(|flag| {
        let name = flag.name();
        let name = name.strip_prefix("VRAM_").unwrap_or(name);
        name.to_ascii_lowercase().replace('_', "-")
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Lets masks be printed, parsed and serialized by the names of their bits.
macro_rules! impl_text {
    ($($mask:ty: $kind:literal,)*) => {$(
        impl ::std::fmt::Display for $mask {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::mask::write_names(self, f)
            }
        }

        impl ::std::str::FromStr for $mask {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $crate::mask::parse_names(text, $kind)
            }
        }

        impl ::serde::Serialize for $mask {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.iter_names().map(|(name, _)| name))
            }
        }
    )*};
}

pub(crate) use impl_text;
