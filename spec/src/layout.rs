//! Layouts of descriptors and shared structures: declared once, giving accessors, rustdoc and a table for decoding.
//!
//! [`layout!`](crate::layout!) has two forms. Up to 16 bytes, a structure is one little-endian integer and its fields are
//! bit ranges `[high:low]`. Longer structures are byte arrays and their fields are byte ranges `[from..to]`. In both,
//! fields stand in ascending order and cover everything: a gap or an overlap does not compile. Behind the vendor's name of a
//! structure or a field stand, where they are not the driver and version 1, who writes it and the lowest interface version that
//! has it: `= "latencyConf", by Device, since 9`.

/// What a field holds, for whoever decodes it without knowing its Rust type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned little-endian integer.
    Uint,
    /// One bit.
    Bool,
    /// An array: bits per element, and the element's layout when it is a structure.
    Array(u32, Option<&'static Layout>),
    /// A structure inside this one.
    Struct(&'static Layout),
}

/// Who gives a field its value while the structure is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The driver; the device only reads it.
    Driver,
    /// The device; the driver only reads it.
    Device,
    /// Either, at different times.
    Both,
    /// Nobody: reserved and padding.
    Nobody,
}

/// One field of a [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The vendor's spelling.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Lowest bit, counted from bit 0 of byte 0.
    pub low: u32,
    /// Width in bits.
    pub bits: u32,
    /// What it holds.
    pub kind: Kind,
    /// Who writes it, where that is not as [`Layout::writer`] says.
    pub writer: Option<Writer>,
    /// Lowest interface version that gives it this meaning, where that is not as [`Layout::since`] says.
    pub since: Option<u8>,
}

impl Field {
    /// True for fields declared only to leave no bit undeclared.
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with("rsvd") || self.name.starts_with("pad")
    }
}

/// A declared structure: its vendor name, its size and every field of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The vendor's name of the structure.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Size in bits.
    pub bits: u32,
    /// Who writes a field that does not say so itself.
    pub writer: Writer,
    /// Lowest interface version that has the structure.
    pub since: u8,
    /// Every field, in ascending order, reserved ones too.
    pub fields: &'static [Field],
}

/// One decoded leaf: its dotted path, its place and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Dotted path of vendor names, with `[i]` for array elements.
    pub path: String,
    /// Lowest bit, counted from the start of the outermost structure.
    pub low: u32,
    /// Width in bits.
    pub bits: u32,
    /// The value; byte arrays longer than 8 bytes are given as separate leaves.
    pub value: u64,
    /// The declaration this leaf came from.
    pub field: &'static Field,
}

impl Layout {
    /// Size in bytes.
    pub const fn bytes(&self) -> usize {
        self.bits as usize / 8
    }

    /// Who writes `field`, one of this structure: with a structure inside, whoever writes any of that.
    pub fn writer_of(&self, field: &Field) -> Writer {
        match (field.writer, field.kind) {
            (Some(writer), _) => writer,
            (None, _) if field.is_reserved() => Writer::Nobody,
            (None, Kind::Struct(inner) | Kind::Array(_, Some(inner))) => {
                let writers = inner.fields.iter().map(|field| inner.writer_of(field));
                writers.fold(Writer::Nobody, |one, other| match (one, other) {
                    (Writer::Nobody, writer) | (writer, Writer::Nobody) => writer,
                    (one, other) if one == other => one,
                    _ => Writer::Both,
                })
            }
            (None, _) => self.writer,
        }
    }

    /// Lowest interface version that gives `field`, one of this structure, its meaning.
    pub fn since_of(&self, field: &Field) -> u8 {
        field.since.unwrap_or(self.since)
    }

    /// Byte offset of the field `name`; a name that is not declared does not compile in a constant.
    pub const fn offset(&self, name: &str) -> u64 {
        self.low(name) as u64 / 8
    }

    /// Lowest bit of the field `name`, which may lie in structures inside, as in `devRead.misc`; a name that is not declared does
    /// not compile in a constant.
    pub const fn low(&self, name: &str) -> u32 {
        self.find(name.as_bytes())
    }

    const fn find(&self, name: &[u8]) -> u32 {
        let mut i = 0;
        while i < self.fields.len() {
            let field = &self.fields[i];
            let own = field.name.len();
            if same(field.name.as_bytes(), name) {
                return field.low;
            }
            if let Kind::Struct(inner) = field.kind
                && name.len() > own
                && name[own] == b'.'
                && same(field.name.as_bytes(), name.split_at(own).0)
            {
                return field.low + inner.find(name.split_at(own + 1).1);
            }
            i += 1;
        }
        panic!("no such field")
    }

    /// Every leaf of `bytes`, in ascending order. Bytes beyond the end of `bytes` read as zero.
    pub fn decode(&'static self, bytes: &[u8]) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.decode_into(bytes, "", 0, &mut leaves);
        leaves
    }

    fn decode_into(&'static self, bytes: &[u8], prefix: &str, base: u32, leaves: &mut Vec<Leaf>) {
        for field in self.fields {
            let path = if prefix.is_empty() { field.name.to_string() } else { format!("{prefix}.{}", field.name) };
            let low = base + field.low;
            let mut leaf = |path: String, low: u32, bits: u32| {
                leaves.push(Leaf { path, low, bits, value: bits_at(bytes, low, bits), field });
            };
            match field.kind {
                Kind::Uint | Kind::Bool => leaf(path, low, field.bits),
                Kind::Struct(inner) => inner.decode_into(bytes, &path, low, leaves),
                Kind::Array(bits, None) => {
                    for i in 0..field.bits / bits {
                        leaf(format!("{path}[{i}]"), low + i * bits, bits);
                    }
                }
                Kind::Array(bits, Some(inner)) => {
                    for i in 0..field.bits / bits {
                        inner.decode_into(bytes, &format!("{path}[{i}]"), low + i * bits, leaves);
                    }
                }
            }
        }
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The `bits` (at most 64) bits of `bytes` from bit `low`; bits beyond the end are zero.
pub fn bits_at(bytes: &[u8], low: u32, bits: u32) -> u64 {
    let mut value = 0u64;
    for i in 0..bits {
        let bit = low + i;
        let byte = bytes.get(bit as usize / 8).copied().unwrap_or(0);
        value |= u64::from(byte >> (bit % 8) & 1) << i;
    }
    value
}

/// True when `fields` stand in ascending order and cover bits 0 to `bits` without gap or overlap. Used at compile time.
pub const fn covers(fields: &[Field], bits: u32) -> bool {
    let mut at = 0;
    let mut i = 0;
    while i < fields.len() {
        if fields[i].low != at || fields[i].bits == 0 {
            return false;
        }
        at += fields[i].bits;
        i += 1;
    }
    at == bits
}

/// A value that can be a bit field of an integer.
pub trait BitField<Store>: Sized {
    /// How the field is decoded.
    const KIND: Kind;
    /// Takes bits `high..=low` out of `store`.
    fn take(store: &Store, high: usize, low: usize) -> Self;
    /// Puts the bits that fit into `store`, as a wire does.
    fn put(self, store: &mut Store, high: usize, low: usize);
}

macro_rules! bit_fields {
    ($($store:ident),*) => { $(
        bit_fields!(@ $store u8 u16 u32 u64);
        impl BitField<$store> for bool {
            const KIND: Kind = Kind::Bool;
            #[inline]
            fn take(store: &$store, high: usize, _: usize) -> bool { bitfield::Bit::bit(store, high) }
            #[inline]
            fn put(self, store: &mut $store, high: usize, _: usize) { bitfield::BitMut::set_bit(store, high, self); }
        }
    )* };
    (@ $store:ident $($value:ident)*) => { $(
        impl BitField<$store> for $value {
            const KIND: Kind = Kind::Uint;
            #[inline]
            fn take(store: &$store, high: usize, low: usize) -> $value { bitfield::BitRange::bit_range(store, high, low) }
            #[inline]
            fn put(self, store: &mut $store, high: usize, low: usize) {
                bitfield::BitRangeMut::set_bit_range(store, high, low, self);
            }
        }
    )* };
}
bit_fields!(u8, u16, u32, u64, u128);

/// A value with a fixed little-endian form in shared memory.
pub trait Bytes: Sized + Copy {
    /// Size in bytes.
    const SIZE: usize;
    /// How it is decoded.
    const KIND: Kind;
    /// Reads it from the first `SIZE` bytes.
    fn get(bytes: &[u8]) -> Self;
    /// Writes it to the first `SIZE` bytes.
    fn put(self, bytes: &mut [u8]);
}

macro_rules! le_bytes {
    ($($t:ident),*) => { $(
        impl Bytes for $t {
            const SIZE: usize = size_of::<$t>();
            const KIND: Kind = Kind::Uint;
            #[inline]
            fn get(bytes: &[u8]) -> Self {
                let mut le = [0; size_of::<$t>()];
                le.copy_from_slice(&bytes[..size_of::<$t>()]);
                $t::from_le_bytes(le)
            }
            #[inline]
            fn put(self, bytes: &mut [u8]) { bytes[..size_of::<$t>()].copy_from_slice(&self.to_le_bytes()); }
        }
    )* };
}
le_bytes!(u8, u16, u32, u64);

impl<T: Bytes, const N: usize> Bytes for [T; N] {
    const SIZE: usize = T::SIZE * N;
    const KIND: Kind = Kind::Array(
        T::SIZE as u32 * 8,
        match T::KIND {
            Kind::Struct(layout) => Some(layout),
            _ => None,
        },
    );
    #[inline]
    fn get(bytes: &[u8]) -> Self {
        let bytes = &bytes[..Self::SIZE];
        core::array::from_fn(|i| T::get(&bytes[i * T::SIZE..(i + 1) * T::SIZE]))
    }
    #[inline]
    fn put(self, bytes: &mut [u8]) {
        for (value, bytes) in self.into_iter().zip(bytes[..Self::SIZE].chunks_exact_mut(T::SIZE)) {
            value.put(bytes);
        }
    }
}

/// A whole declared structure that can be read from and written to guest memory.
pub trait Declared: Bytes + Default {
    /// Its table.
    const LAYOUT: &'static Layout;
}

/// Declares a structure. See the [module](mod@crate::layout) for the two forms.
#[macro_export]
macro_rules! layout {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident($int:ident) = $vendor:literal $(, by $by:ident)? $(, since $from:literal)? {
            $( $(#[doc = $fdoc:literal])* [$high:literal $(: $low:literal)?] $get:ident, $set:ident: $ty:ty
                $(= $fvendor:literal)? $(, by $fby:ident)? $(, since $ffrom:literal)?; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub $int);

        #[allow(clippy::len_without_is_empty, reason = "`len` is a field of the hardware, not a collection's size")]
        impl $name {
            /// Its table.
            pub const LAYOUT: &'static $crate::layout::Layout = &$crate::layout::Layout {
                name: $vendor,
                doc: concat!($($doc, "\n"),*),
                bits: $int::BITS,
                writer: $crate::layout!(@by $($by)?),
                since: $crate::layout!(@since $($from)?),
                fields: &[$( $crate::layout::Field {
                    name: $crate::layout!(@name $get $($fvendor)?),
                    doc: concat!($($fdoc, "\n"),*),
                    low: $crate::layout!(@low $high $($low)?),
                    bits: $high - $crate::layout!(@low $high $($low)?) + 1,
                    kind: <$ty as $crate::layout::BitField<$int>>::KIND,
                    writer: $crate::layout!(@some $($crate::layout::Writer::$fby)?),
                    since: $crate::layout!(@some $($ffrom)?),
                } ),*],
            };
            $(
                $(#[doc = $fdoc])*
                #[inline]
                pub fn $get(&self) -> $ty {
                    $crate::layout::BitField::take(&self.0, $high, $crate::layout!(@low $high $($low)?))
                }
                #[doc = concat!("Sets `", stringify!($get), "`, keeping the bits that fit.")]
                #[inline]
                pub fn $set(&mut self, value: $ty) {
                    $crate::layout::BitField::put(value, &mut self.0, $high, $crate::layout!(@low $high $($low)?));
                }
            )*
        }

        impl From<$int> for $name {
            #[inline]
            fn from(bits: $int) -> Self { Self(bits) }
        }
        impl From<$name> for $int {
            #[inline]
            fn from(value: $name) -> Self { value.0 }
        }
        impl $crate::layout::Bytes for $name {
            const SIZE: usize = size_of::<$int>();
            const KIND: $crate::layout::Kind = $crate::layout::Kind::Struct(Self::LAYOUT);
            #[inline]
            fn get(bytes: &[u8]) -> Self {
                let mut le = [0; size_of::<$int>()];
                le.copy_from_slice(&bytes[..size_of::<$int>()]);
                Self($int::from_le_bytes(le))
            }
            #[inline]
            fn put(self, bytes: &mut [u8]) { bytes[..size_of::<$int>()].copy_from_slice(&self.0.to_le_bytes()); }
        }
        impl $crate::layout::Declared for $name {
            const LAYOUT: &'static $crate::layout::Layout = Self::LAYOUT;
        }
        $crate::layout!(@common $name);
    };
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident([u8; $size:literal]) = $vendor:literal $(, by $by:ident)? $(, since $since:literal)? {
            $( $(#[doc = $fdoc:literal])* [$from:literal .. $to:literal] $get:ident, $set:ident: $ty:ty
                $(= $fvendor:literal)? $(, by $fby:ident)? $(, since $fsince:literal)?; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// Its table.
            pub const LAYOUT: &'static $crate::layout::Layout = &$crate::layout::Layout {
                name: $vendor,
                doc: concat!($($doc, "\n"),*),
                bits: $size * 8,
                writer: $crate::layout!(@by $($by)?),
                since: $crate::layout!(@since $($since)?),
                fields: &[$( $crate::layout::Field {
                    name: $crate::layout!(@name $get $($fvendor)?),
                    doc: concat!($($fdoc, "\n"),*),
                    low: $from * 8,
                    bits: ($to - $from) * 8,
                    kind: <$ty as $crate::layout::Bytes>::KIND,
                    writer: $crate::layout!(@some $($crate::layout::Writer::$fby)?),
                    since: $crate::layout!(@some $($fsince)?),
                } ),*],
            };
            $(
                $(#[doc = $fdoc])*
                #[inline]
                pub fn $get(&self) -> $ty { <$ty as $crate::layout::Bytes>::get(&self.0[$from..$to]) }
                #[doc = concat!("Sets `", stringify!($get), "`.")]
                #[inline]
                pub fn $set(&mut self, value: $ty) { $crate::layout::Bytes::put(value, &mut self.0[$from..$to]); }
            )*
        }

        $( const _: () = assert!(<$ty as $crate::layout::Bytes>::SIZE == $to - $from, "a field does not fill its bytes"); )*

        impl Default for $name {
            fn default() -> Self { Self([0; $size]) }
        }
        impl $crate::layout::Bytes for $name {
            const SIZE: usize = $size;
            const KIND: $crate::layout::Kind = $crate::layout::Kind::Struct(Self::LAYOUT);
            #[inline]
            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; $size];
                own.copy_from_slice(&bytes[..$size]);
                Self(own)
            }
            #[inline]
            fn put(self, bytes: &mut [u8]) { bytes[..$size].copy_from_slice(&self.0); }
        }
        impl $crate::layout::Declared for $name {
            const LAYOUT: &'static $crate::layout::Layout = Self::LAYOUT;
        }
        $crate::layout!(@common $name);
    };
    (@common $name:ident) => {
        const _: () = assert!(
            $crate::layout::covers($name::LAYOUT.fields, $name::LAYOUT.bits),
            "fields must ascend and cover every bit"
        );
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut bytes = vec![0; <Self as $crate::layout::Bytes>::SIZE];
                $crate::layout::Bytes::put(*self, &mut bytes);
                $crate::layout::debug(Self::LAYOUT, &bytes, f)
            }
        }
    };
    (@by) => { $crate::layout::Writer::Driver };
    (@by $by:ident) => { $crate::layout::Writer::$by };
    (@since) => { 1 };
    (@since $since:literal) => { $since };
    (@some) => { None };
    (@some $value:expr) => { Some($value) };
    (@low $high:literal) => { $high };
    (@low $high:literal $low:literal) => { $low };
    (@name $get:ident) => { stringify!($get) };
    (@name $get:ident $vendor:literal) => { $vendor };
}

/// Prints the fields of `bytes` that are not zero, by the vendor's names.
pub fn debug(layout: &'static Layout, bytes: &[u8], f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
    write!(f, "{} {{", layout.name)?;
    let mut first = true;
    for leaf in layout.decode(bytes) {
        if leaf.value != 0 {
            write!(f, "{} {}: {}", if first { "" } else { "," }, leaf.path, number(leaf.value))?;
            first = false;
        }
    }
    f.write_str(" }")
}

/// A number as people read it in a trace: small ones in decimal, large ones in hexadecimal.
pub fn number(value: u64) -> String {
    if value < 0x1_0000 { value.to_string() } else { format!("{value:#x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    layout! {
        /// Two halves.
        pub struct Small(u16) = "Small" {
            /// Low byte.
            [7:0] low, set_low: u8;
            /// A flag.
            [8] flag, set_flag: bool = "fl";
            /// Rest.
            [15:9] rsvd, set_rsvd: u8;
        }
    }

    layout! {
        /// Nested and repeated.
        pub struct Large([u8; 8]) = "Large", since 3 {
            /// Count.
            [0..2] count, set_count: u16;
            /// Nested.
            [2..4] small, set_small: Small;
            /// Repeated.
            [4..8] pair, set_pair: [u16; 2] = "pair", by Device, since 4;
        }
    }

    #[test]
    fn a_field_is_written_by_whom_it_says_or_else_by_whom_its_structure_says() {
        let field = |name| Large::LAYOUT.fields.iter().find(|field| field.name == name).expect("declared");
        let told = |name| (Large::LAYOUT.writer_of(field(name)), Large::LAYOUT.since_of(field(name)));
        assert_eq!(told("count"), (Writer::Driver, 3));
        assert_eq!(told("small"), (Writer::Driver, 3));
        assert_eq!(told("pair"), (Writer::Device, 4));
        assert_eq!(Small::LAYOUT.writer_of(&Small::LAYOUT.fields[2]), Writer::Nobody);
    }

    #[test]
    fn a_setter_keeps_the_bits_that_fit() {
        let mut small = Small(0);
        small.set_rsvd(0xff);
        assert_eq!(small.0, 0xfe00);
    }

    #[test]
    fn decoding_names_every_leaf() {
        let mut large = Large::default();
        large.set_count(3);
        large.set_small(Small(0x1ff));
        large.set_pair([7, 0x8000]);
        assert_eq!((large.count(), large.small(), large.pair()), (3, Small(0x1ff), [7, 0x8000]));
        assert_eq!((Large::LAYOUT.low("small.fl"), Large::LAYOUT.offset("pair")), (24, 4));
        let leaves: Vec<_> = Large::LAYOUT.decode(&large.0).into_iter().map(|l| (l.path, l.value)).collect();
        let expected =
            [("count", 3), ("small.low", 255), ("small.fl", 1), ("small.rsvd", 0), ("pair[0]", 7), ("pair[1]", 0x8000)];
        assert_eq!(leaves, expected.map(|(path, value)| (path.to_string(), value)));
        assert_eq!(format!("{large:?}"), "Large { count: 3, small.low: 255, small.fl: 1, pair[0]: 7, pair[1]: 32768 }");
    }

    #[test]
    fn a_gap_an_overlap_and_a_short_table_are_refused() {
        let field = |low, bits| Field { name: "f", doc: "", low, bits, kind: Kind::Uint, writer: None, since: None };
        assert!(covers(&[field(0, 8), field(8, 8)], 16));
        assert!(!covers(&[field(0, 7), field(8, 8)], 16));
        assert!(!covers(&[field(0, 9), field(8, 8)], 16));
        assert!(!covers(&[field(0, 8)], 16));
    }
}
