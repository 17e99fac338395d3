//! Registers: offset, access and reset value declared once, giving an enum, its decoder and a table.
//!
//! [`registers!`](crate::registers!) declares a page. Every 4 bytes of it belong to exactly one register or to a named
//! gap: a hole or an overlap does not compile.

/// How software may use a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    Rw,
    /// Reads; writes are ignored.
    Ro,
    /// Writes; reads are free of side effects and their value is a `Profile` choice.
    Wo,
    /// A written one clears the bit.
    W1c,
    /// A read clears.
    Rc,
}

/// One declared register, or an array of equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterDecl {
    /// The vendor's name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Byte offset of the first one.
    pub offset: u32,
    /// How many.
    pub count: u32,
    /// Bytes from one to the next.
    pub step: u32,
    /// Bytes that one occupies, padding included.
    pub size: u32,
    /// Bits that one has.
    pub width: u32,
    /// How software may use it.
    pub access: Access,
    /// Value after reset.
    pub reset: u64,
    /// Lowest interface version that has it, where that is not as [`RegisterMap::since`] says.
    pub since: Option<u8>,
}

/// Bytes in which nothing is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First byte.
    pub from: u32,
    /// Byte after the last.
    pub to: u32,
}

/// A declared page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterMap {
    /// The vendor's name of the page.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Size in bytes.
    pub bytes: u32,
    /// Lowest interface version that has the page.
    pub since: u8,
    /// Every register.
    pub registers: &'static [RegisterDecl],
    /// Every gap.
    pub gaps: &'static [Gap],
}

impl RegisterMap {
    /// The declaration at `offset`, with the index of the array element.
    pub fn at(&self, offset: u32) -> Option<(&'static RegisterDecl, u32)> {
        self.registers.iter().find_map(|decl| {
            let index = offset.checked_sub(decl.offset)? / decl.step;
            (index < decl.count && decl.offset + index * decl.step == offset).then_some((decl, index))
        })
    }

    /// The name at `offset` as traces print it: `TXPROD[3]`, or `+0x044` where nothing is declared.
    pub fn label(&self, offset: u32) -> String {
        match self.at(offset) {
            Some((decl, index)) if decl.count > 1 => format!("{}[{index}]", decl.name),
            Some((decl, _)) => decl.name.to_string(),
            None => format!("+{offset:#05x}"),
        }
    }
}

/// True when each 4 bytes of the page belong to exactly one register or gap. Used at compile time.
pub const fn tiles(map: &RegisterMap) -> bool {
    let mut at = 0;
    while at < map.bytes {
        let mut owners = 0;
        let mut i = 0;
        while i < map.registers.len() {
            let r = &map.registers[i];
            if at >= r.offset && (at - r.offset) / r.step < r.count && (at - r.offset) % r.step < r.size {
                owners += 1;
            }
            i += 1;
        }
        let mut i = 0;
        while i < map.gaps.len() {
            if at >= map.gaps[i].from && at < map.gaps[i].to {
                owners += 1;
            }
            i += 1;
        }
        if owners != 1 {
            return false;
        }
        at += 4;
    }
    true
}

/// Declares a page of registers. See the [module](mod@crate::registers).
#[macro_export]
macro_rules! registers {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident in $bytes:literal = $vendor:literal $(, since $psince:literal)? {
            $(
                $(#[doc = $rdoc:literal])*
                $offset:literal $([$count:literal; $step:literal])? => $reg:ident $(($index:ident))? = $rname:literal:
                    $access:ident $(, size $size:literal)? $(, width $width:literal)?, reset $reset:literal
                    $(, since $rsince:literal)?;
            )*
        }
        gaps { $($from:literal .. $to:literal),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[doc = $rdoc])* $reg $(($index))? ),*
        }

        impl $name {
            /// The page's table.
            pub const MAP: &'static $crate::registers::RegisterMap = &$crate::registers::RegisterMap {
                name: $vendor,
                doc: concat!($($doc, "\n"),*),
                bytes: $bytes,
                since: $crate::registers!(@or 1 $($psince)?),
                registers: &[$( $crate::registers::RegisterDecl {
                    name: $rname,
                    doc: concat!($($rdoc, "\n"),*),
                    offset: $offset,
                    count: $crate::registers!(@or 1 $($count)?),
                    step: $crate::registers!(@or 8 $($step)?),
                    size: $crate::registers!(@or 8 $($size)?),
                    width: $crate::registers!(@or 32 $($width)?),
                    access: $crate::registers::Access::$access,
                    reset: $reset,
                    since: $crate::layout!(@some $($rsince)?),
                } ),*],
                gaps: &[$( $crate::registers::Gap { from: $from, to: $to } ),*],
            };

            /// The register at `offset`, if one starts there.
            #[inline]
            #[allow(clippy::manual_range_contains, unused_comparisons, reason = "one expansion serves offset 0 and arrays alike")]
            pub const fn decode(offset: u32) -> Option<Self> {
                $( $crate::registers!(@decode offset $reg $offset $(, $index, $count, $step)?); )*
                None
            }

            /// Its byte offset in the page.
            #[inline]
            pub const fn offset(self) -> u32 {
                match self {
                    $( $crate::registers!(@pattern $reg $(, $index)?) => $crate::registers!(@place self $reg $offset $(, $index, $step)?) ),*
                }
            }
        }

        const _: () = assert!($crate::registers::tiles($name::MAP), "every 4 bytes need exactly one register or gap");
    };
    (@or $default:literal) => { $default };
    (@or $default:literal $value:literal) => { $value };
    (@decode $at:ident $reg:ident $offset:literal) => {
        if $at == $offset { return Some(Self::$reg); }
    };
    (@decode $at:ident $reg:ident $offset:literal, $index:ident, $count:literal, $step:literal) => {
        if $at >= $offset && $at < $offset + $count * $step && ($at - $offset) % $step == 0 {
            return Some(Self::$reg((($at - $offset) / $step) as $index));
        }
    };
    (@pattern $reg:ident) => { Self::$reg };
    (@pattern $reg:ident, $index:ident) => { Self::$reg(_) };
    (@place $this:ident $reg:ident $offset:literal) => { $offset };
    (@place $this:ident $reg:ident $offset:literal, $index:ident, $step:literal) => {
        if let Self::$reg(i) = $this { $offset + i as u32 * $step } else { $offset }
    };
}

/// Declares named codes with an `Unknown` variant, so that a value we do not know survives a round trip.
#[macro_export]
macro_rules! codes {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident($int:ident) {
            $( $(#[doc = $cdoc:literal])* $value:literal => $code:ident = $vendor:literal; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[doc = $cdoc])* $code, )*
            /// A value that no source names.
            Unknown($int),
        }

        impl $name {
            /// Every named value: value, vendor name, meaning.
            pub const TABLE: &'static [($int, &'static str, &'static str)] =
                &[$( ($value, $vendor, concat!($($cdoc, "\n"),*)) ),*];

            /// The vendor's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$code => $vendor, )*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// The number.
            #[inline]
            pub const fn code(self) -> $int {
                match self {
                    $( Self::$code => $value, )*
                    Self::Unknown(code) => code,
                }
            }
        }

        impl From<$int> for $name {
            #[inline]
            fn from(code: $int) -> Self {
                match code {
                    $( $value => Self::$code, )*
                    code => Self::Unknown(code),
                }
            }
        }
        impl From<$name> for $int {
            #[inline]
            fn from(value: $name) -> $int { value.code() }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    registers! {
        /// A page.
        pub enum Page in 0x40 = "page" {
            /// One.
            0x00 => One = "ONE": Rw, reset 7;
            /// Many.
            0x10[3; 8] => Many(u8) = "MANY": Wo, reset 0;
        }
        gaps { 0x08..0x10, 0x28..0x40 }
    }

    #[test]
    fn decode_is_the_inverse_of_offset() {
        for offset in 0..0x40 {
            if let Some(register) = Page::decode(offset) {
                assert_eq!(register.offset(), offset);
                assert!(Page::MAP.at(offset).is_some());
            }
        }
        assert_eq!(Page::decode(0x20), Some(Page::Many(2)));
        assert_eq!(Page::decode(0x28), None);
        assert_eq!(Page::decode(0x14), None);
        assert_eq!(Page::MAP.label(0x18), "MANY[1]");
        assert_eq!(Page::MAP.label(0x08), "+0x008");
    }

    #[test]
    fn a_hole_and_an_overlap_are_refused() {
        assert!(tiles(Page::MAP));
        assert!(!tiles(&RegisterMap { gaps: &[], ..*Page::MAP }));
        assert!(!tiles(&RegisterMap { gaps: &[Gap { from: 0, to: 0x40 }], ..*Page::MAP }));
    }

    codes! {
        /// Codes.
        pub enum Code(u32) {
            /// The first.
            1 => First = "FIRST";
        }
    }

    #[test]
    fn unknown_codes_survive() {
        assert_eq!(u32::from(Code::from(9)), 9);
        assert_eq!(Code::from(1), Code::First);
    }
}
