// SPDX-License-Identifier: GPL-2.0

//! How counters are declared and described.

use std::fmt;

/// The unit of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
    /// A number of what the counter counts.
    Count,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bytes => "bytes",
            Self::Nanoseconds => "ns",
            Self::Count => "count",
        })
    }
}

/// What a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// The name of its field in the structure, and of its key in JSON.
    pub name: &'static str,
    /// The unit of its value.
    pub unit: Unit,
    /// What it counts, in full sentences.
    pub meaning: &'static str,
}

/// A counter in a structure of type `T`.
#[derive(Clone, Copy, Debug)]
pub struct Counter<T: 'static> {
    /// What it is.
    pub description: Description,
    /// Gets its value from the structure.
    pub value: fn(&T) -> u64,
}

/// All counters of one structure.
#[derive(Clone, Debug)]
pub struct CounterTable {
    /// Where the structure is in the JSON of all statistics. Empty for the whole.
    pub place: &'static str,
    /// The name of the structure in the driver's header.
    pub structure: &'static str,
    /// The counters in the order of their fields.
    pub counters: Vec<Description>,
}

impl CounterTable {
    /// Lists the counters of a structure.
    pub(crate) fn new<T>(
        place: &'static str,
        structure: &'static str,
        counters: &[Counter<T>],
    ) -> Self {
        Self {
            place,
            structure,
            counters: counters.iter().map(|c| c.description).collect(),
        }
    }
}

/// Declares a structure with counters, and all that follows from it: its fields, how their values
/// come from the structure of the driver's header, and the table of the counters.
///
/// A counter is one line with a comment: `name: Unit`. The comment becomes its description. The
/// header's structure has a field of the same name, or has it in one of its fields if the line says
/// `name: Unit in field`. All other fields come with the expression that makes their value: `keys`,
/// which say what the counters are about, and `parts`. These expressions may use the header's
/// structure by the name behind `from`, and further values that `from_raw` is called with.
macro_rules! counters {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident
            from $source:ident: $structure:ident $(, $known:ident: $known_type:ty)*;

        keys { $( $(#[$key_doc:meta])* $key:ident: $kind:ty = $key_value:expr, )* }
        counters {
            $( $(#[doc = $meaning:literal])+ $counter:ident: $unit:ident $(in $field:ident)?, )+
        }
        parts { $( $(#[$part_doc:meta])* $part:ident: $part_type:ty = $part_value:expr, )* }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $( $(#[$key_doc])* pub $key: $kind, )*
            $(
                $(#[doc = $meaning])+
                #[doc = concat!("\n\nUnit: ", stringify!($unit), ".")]
                pub $counter: u64,
            )+
            $( $(#[$part_doc])* pub $part: $part_type, )*
        }

        impl $name {
            /// The name of the structure in the driver's header.
            pub(crate) const STRUCTURE: &'static str = stringify!($structure);

            /// All counters in the order of their fields.
            pub const COUNTERS: &'static [Counter<Self>] = &[$( Counter {
                description: Description {
                    name: stringify!($counter),
                    unit: Unit::$unit,
                    meaning: concat!($($meaning),+).trim_ascii(),
                },
                value: |counted| counted.$counter,
            } ),+];

            /// Takes the counters over from the structure of the driver's header.
            pub(crate) fn from_raw(
                $source: &$crate::raw::$structure,
                $($known: $known_type,)*
            ) -> Self {
                Self {
                    $( $key: $key_value, )*
                    $( $counter: $source.$($field.)?$counter, )+
                    $( $part: $part_value, )*
                }
            }
        }
    };
}

pub(crate) use counters;
