//! Bits and numbers that have a name: declared once, giving constants and a table.
//!
//! [`constants!`](crate::constants!) has two forms. `pub mod` declares values that belong together, such as the bits of one field: a
//! module of constants and a table of them, each under the vendor's name, which is the prefix and our name, or what `named` says; what
//! else the module holds follows `with`. `pub const .. [..]` declares a table of numbers that stand by themselves, each with the
//! vendor's name behind it, or with one of ours where no header has it.

/// One named value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// The vendor's name, or ours where the source says that there is none.
    pub name: &'static str,
    /// What it means, in what unit, and its source.
    pub doc: &'static str,
    /// The value.
    pub value: u64,
    /// Lowest interface version in which it means something.
    pub since: u8,
}

/// Named values that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// The prefix that the names have in common, or what the numbers are.
    pub name: &'static str,
    /// What they are.
    pub doc: &'static str,
    /// Each of them.
    pub rows: &'static [Constant],
}

/// Declares named values. See the [module](mod@crate::constants).
#[macro_export]
macro_rules! constants {
    (
        $(#[doc = $doc:literal])*
        pub mod $name:ident: $ty:ident = $prefix:literal {
            $( $(#[doc = $cdoc:literal])* $constant:ident = $value:expr $(, named $vendor:literal)? $(, since $since:literal)?; )*
        } $(with { $($item:item)* })?
    ) => {
        $(#[doc = $doc])*
        pub mod $name {
            $( $(#[doc = $cdoc])* pub const $constant: $ty = $value; )*
            $( $($item)* )?

            /// Every one of them.
            pub const TABLE: &$crate::constants::Constants = &$crate::constants::Constants {
                name: $prefix,
                doc: concat!($($doc, "\n"),*),
                rows: &[$( $crate::constants::Constant {
                    name: $crate::constants!(@name $prefix $constant $($vendor)?),
                    doc: concat!($($cdoc, "\n"),*),
                    value: $constant as u64,
                    since: $crate::layout!(@since $($since)?),
                } ),*],
            };
        }
    };
    (@name $prefix:literal $constant:ident) => { concat!($prefix, "_", stringify!($constant)) };
    (@name $prefix:literal $constant:ident $vendor:literal) => { $vendor };
    (
        $(#[doc = $doc:literal])*
        pub const $table:ident = $title:literal [
            $( $(#[doc = $cdoc:literal])* pub const $constant:ident: $ty:ident = $value:expr, $vendor:literal $(, since $since:literal)?; )*
        ]
    ) => {
        $( $(#[doc = $cdoc])* pub const $constant: $ty = $value; )*

        $(#[doc = $doc])*
        pub const $table: &$crate::constants::Constants = &$crate::constants::Constants {
            name: $title,
            doc: concat!($($doc, "\n"),*),
            rows: &[$( $crate::constants::Constant {
                name: $vendor,
                doc: concat!($($cdoc, "\n"),*),
                value: $constant as u64,
                since: $crate::layout!(@since $($since)?),
            } ),*],
        };
    };
}

#[cfg(test)]
mod tests {
    constants! {
        /// Bits of a word.
        pub mod bits: u8 = "X_BIT" {
            /// The first.
            ONE = 1 << 0;
            /// The second.
            TWO = 1 << 1, named "X_BIT_DEUX", since 2;
        }
    }

    constants! {
        /// Two numbers.
        pub const NUMBERS = "numbers" [
            /// Bytes.
            pub const BYTES: usize = 7, "X_BYTES";
            /// Frames.
            pub const FRAMES: u16 = 9, "X_FRAMES", since 3;
        ]
    }

    #[test]
    fn tables_hold_what_the_constants_are() {
        let rows: Vec<_> = bits::TABLE.rows.iter().chain(NUMBERS.rows).map(|c| (c.name, c.value, c.since)).collect();
        let named = [("X_BIT_ONE", bits::ONE.into(), 1), ("X_BIT_DEUX", bits::TWO.into(), 2)];
        assert_eq!(rows, [named[0], named[1], ("X_BYTES", BYTES as u64, 1), ("X_FRAMES", FRAMES.into(), 3)]);
        assert_eq!((NUMBERS.name, bits::TABLE.name), ("numbers", "X_BIT"));
    }
}
