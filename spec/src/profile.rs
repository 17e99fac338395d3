//! Named choices: limits, and what a device does where the sources are silent or where a known device differs.

#[path = "answers.rs"]
mod answers;
#[path = "moderation.rs"]
mod moderation;
#[path = "offer.rs"]
mod offer;

use crate::vmxnet3::answer::{DataSizes, LRO_DISABLED, Link, MaxQueues};
use crate::vmxnet3::bar0::LARGE_BAR0_BYTES;
use crate::vmxnet3::capability::{CAPABILITIES_SINCE, LARGE_BAR};
use crate::vmxnet3::{Bar0, Interrupts, MAX_RX_QUEUES, MAX_TX_QUEUES, MAX_VECTORS, Version};
pub use answers::Answers;
use core::ops::RangeInclusive;
pub use moderation::Moderation;
pub use offer::Offer;

/// Limits of the interface. All of them are here, so that exploration uses rings of 4 in a few KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Ring sizes are multiples of this. 32 on every real device.
    pub ring_step: u32,
    /// Most descriptors of a TX ring and its completion ring.
    pub tx_ring: u32,
    /// Most descriptors of an RX ring.
    pub rx_ring: u32,
    /// Most entries of an RX completion ring.
    pub rx_comp_ring: u32,
    /// Ring bases are multiples of this many bytes; 1 accepts any.
    pub ring_align: u64,
    /// Most TX queues, at most 32; what a driver may use is in [`Profile::width`].
    pub tx_queues: u8,
    /// Most RX queues, at most 32.
    pub rx_queues: u8,
    /// Interrupt vectors, at most 65.
    pub vectors: u8,
    /// Smallest MTU, bytes.
    pub min_mtu: u32,
    /// Largest MTU below version 6, bytes.
    pub max_mtu: u32,
    /// Largest MTU from version 6 on, bytes.
    pub max_mtu_later: u32,
    /// Most descriptors the device gathers for one TX packet; a longer one is dropped, counted and completed.
    pub tx_descs: usize,
    /// Most segments that LRO merges into one packet; 1 merges none.
    pub merged: u8,
    /// Most bytes of one TX packet before segmentation; a longer one is dropped, counted and completed.
    pub tx_bytes: usize,
}

impl Limits {
    /// MTUs that a driver of `version` may set, bytes.
    pub const fn mtus(&self, version: u8) -> RangeInclusive<u32> {
        self.min_mtu..=if version >= 6 { self.max_mtu_later } else { self.max_mtu }
    }
}

/// How many queues and vectors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Width {
    /// Most TX queues.
    pub tx_queues: u8,
    /// Most RX queues.
    pub rx_queues: u8,
    /// Interrupt vectors.
    pub vectors: u8,
}

/// What no public source says about the inside of the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdapterLimits {
    /// Descriptors cached ahead, a queue.
    pub cache: usize,
    /// TX packets under way, a WQ.
    pub pipeline: usize,
    /// DMA writes and interrupts waiting to leave.
    pub write_fifo: usize,
    /// Frames waiting to be received, all queues.
    pub ingress_fifo: usize,
    /// Register writes posted by the guest and not applied yet.
    pub doorbells: usize,
    /// The host can read the ingress FIFO back (policies B and C need it).
    pub fifo_readback: bool,
    /// The adapter filters by VLAN table; without it a guest with a filter of its own is not eligible.
    pub vlan_filter: bool,
}

/// A way in which a known device differs from the reference, or a choice among answers that sources permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Deviation {
    /// ECR reads 0 instead of the pending events.
    EcrReadsZero,
    /// ACTIVATE replaces the current MAC by the permanent one.
    ActivateRestoresMac,
    /// BAR0 writes are dropped while inactive, IMR included.
    InactiveBar0Dropped,
    /// Delivering a remembered cause at unmask does not mask again.
    UnmaskForgetsAutoMask,
    /// Receive completions carry type 0.
    RxTypeZero,
    /// Receive checksums are never verified and `fcs` stays 0.
    RxNothingVerified,
    /// An all-zero VLAN table drops tagged frames other than VID 0 and 4095.
    ZeroVlanTableDrops,
    /// RESET_DEV forgets the shared address.
    ResetForgetsShared,
    /// Segmented packets are counted before segmentation.
    TsoCountsPackets,
    /// A frame longer than the MTU counts as LRO.
    LongFramesCountAsLro,
    /// Only RX queue 0 receives.
    RxQueueZeroOnly,
    /// GET_QUEUE_STATUS writes nothing.
    QueueStatusSilent,
    /// Frames below 60 bytes are delivered as they are.
    ShortFramesUnpadded,
    /// A zero `maxNumRxSG` is taken as 1.
    ZeroRxSgIsOne,
    /// A frame that runs out of buffers consumes what it took and ends with `err`.
    OutOfBuffersConsumes,
    /// Each packet is completed, `cq` or not.
    CompletesUnasked,
    /// The device zeroes completion rings at ACTIVATE.
    ActivateZeroesCompletions,
    /// `updateRxProd` is not written at ACTIVATE.
    UpdateRxProdUntouched,
    /// GET_RESERVED1 answers 1.
    AdaptiveRingDisabled,
    /// The CMD read computes the answer anew.
    CmdReadRecomputes,
    /// Received bytes are counted after stripping.
    RxBytesAfterStrip,
}

impl Deviation {
    /// Every deviation with its sentence and source.
    pub const TABLE: &'static [(Self, &'static str, &'static str)] = &[
        (Self::EcrReadsZero, "ECR reads 0", "qemu hw/net/vmxnet3.c, vmxnet3_io_bar1_read"),
        (
            Self::ActivateRestoresMac,
            "ACTIVATE restores the permanent MAC",
            "qemu vmxnet3_activate_device, vmxnet3_reset_mac",
        ),
        (Self::InactiveBar0Dropped, "BAR0 writes are dropped while inactive", "qemu vmxnet3_io_bar0_write"),
        (
            Self::UnmaskForgetsAutoMask,
            "unmasking with a cause pending does not mask again",
            "qemu vmxnet3_on_interrupt_mask_changed",
        ),
        (Self::RxTypeZero, "receive completions carry type 0", "qemu vmxnet3_indicate_packet"),
        (Self::RxNothingVerified, "receive checksums are not verified and fcs stays 0", "qemu vmxnet3_rx_update_descr"),
        (Self::ZeroVlanTableDrops, "an all-zero VLAN table drops tagged frames", "qemu vmxnet3_is_registered_vlan"),
        (Self::ResetForgetsShared, "RESET forgets the shared address", "qemu vmxnet3_reset"),
        (Self::TsoCountsPackets, "TSO statistics count packets, not segments", "qemu vmxnet3_on_tx_done_update_stats"),
        (
            Self::LongFramesCountAsLro,
            "a frame longer than the MTU counts as LRO",
            "qemu vmxnet3_on_rx_done_update_stats",
        ),
        (Self::RxQueueZeroOnly, "only receive queue 0 receives", "qemu vmxnet3_indicate_packet, RXQ_IDX"),
        (Self::QueueStatusSilent, "GET_QUEUE_STATUS writes nothing", "qemu vmxnet3_handle_command"),
        (Self::ShortFramesUnpadded, "frames below 60 bytes are not padded", "qemu 11.1 vmxnet3_receive"),
        (Self::ZeroRxSgIsOne, "maxNumRxSG 0 is taken as 1", "qemu vmxnet3_activate_device"),
        (Self::OutOfBuffersConsumes, "out of buffers ends the packet with err", "qemu vmxnet3_indicate_packet"),
        (Self::CompletesUnasked, "each end of packet is completed", "qemu vmxnet3_process_tx_queue"),
        (
            Self::ActivateZeroesCompletions,
            "completion rings are zeroed at ACTIVATE",
            "qemu vmxnet3_ring_init with zero_region",
        ),
        (Self::UpdateRxProdUntouched, "updateRxProd is left as the guest has it", "qemu vmxnet3_activate_device"),
        (Self::AdaptiveRingDisabled, "GET_RESERVED1 answers 1", "qemu vmxnet3_get_command_status"),
        (Self::CmdReadRecomputes, "the CMD read computes the answer", "qemu vmxnet3_get_command_status"),
        (Self::RxBytesAfterStrip, "received bytes are counted after stripping", "qemu vmxnet3_indicate_packet"),
    ];
}

/// A set of deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deviations(u32);

impl Deviations {
    /// None.
    pub const NONE: Self = Self(0);

    /// This set and `deviation`.
    #[must_use]
    pub const fn with(self, deviation: Deviation) -> Self {
        Self(self.0 | 1 << deviation as u8)
    }

    /// This set but for `deviation`.
    #[must_use]
    pub const fn without(self, deviation: Deviation) -> Self {
        Self(self.0 & !(1 << deviation as u8))
    }

    /// Whether `deviation` is in it.
    #[inline]
    pub const fn has(self, deviation: Deviation) -> bool {
        self.0 >> deviation as u8 & 1 == 1
    }

    /// Every one in it.
    pub fn iter(self) -> impl Iterator<Item = Deviation> {
        Deviation::TABLE.iter().map(|row| row.0).filter(move |d| self.has(*d))
    }
}

/// A device as somebody builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Number in saved states; never reused.
    pub id: u16,
    /// Name on the command line.
    pub name: &'static str,
    /// VRRS: a bit a version offered.
    pub versions: u32,
    /// Queue pairs that are offered, 1 to [`Offer::MOST_QUEUES`]; that many stands for all that [`Limits`] and the version have.
    pub queue_pairs: u8,
    /// The best kind of interrupts that the function has a capability for; without one a guest is left with the INTx line.
    pub interrupts: Interrupts,
    /// Answer of GET_TXDATA_DESC_SIZE, bytes: a multiple of 64 from 128 to 2048. Drivers take anything else for 128.
    pub tx_data_bytes: u16,
    /// Answer of GET_LINK while the link is up.
    pub link_up: u32,
    /// Limits of the interface.
    pub limits: Limits,
    /// What it tells drivers of later versions.
    pub answers: Answers,
    /// How it spaces interrupts, on either body.
    pub moderation: Moderation,
    /// The inside of the adapter.
    pub adapter: AdapterLimits,
    /// Where it differs from the reference.
    pub deviations: Deviations,
    /// `txThreshold` written when entering hardware; 0 on leaving.
    pub tx_threshold: u32,
    /// Device steps allowed to drain before a switch rolls back or gives up.
    pub drain_budget: u32,
}

const LIMITS: Limits = Limits {
    ring_step: 32,
    tx_ring: 4096,
    rx_ring: 4096,
    rx_comp_ring: 8192,
    ring_align: 512,
    tx_queues: MAX_TX_QUEUES as u8,
    rx_queues: MAX_RX_QUEUES as u8,
    vectors: MAX_VECTORS as u8,
    min_mtu: 60,
    max_mtu: 9000,
    max_mtu_later: 9190,
    tx_descs: 64,
    merged: 64,
    tx_bytes: 65_535 + 18,
};

/// What the widest version has.
const NEWEST: Width =
    Width { tx_queues: MAX_TX_QUEUES as u8, rx_queues: MAX_RX_QUEUES as u8, vectors: MAX_VECTORS as u8 };

const fn least(a: u8, b: u8) -> u8 {
    if a < b { a } else { b }
}

const ADAPTER: AdapterLimits = AdapterLimits {
    cache: 16,
    pipeline: 4,
    write_fifo: 16,
    ingress_fifo: 16,
    doorbells: 16,
    fifo_readback: true,
    vlan_filter: true,
};

impl Profile {
    /// What the sources describe, with our choices where they are silent. Offers version 1; see [`Profile::offering`].
    pub const REFERENCE: Self = Self {
        id: 1,
        name: "reference",
        versions: 1,
        queue_pairs: Offer::MOST_QUEUES,
        interrupts: Interrupts::MsiX,
        tx_data_bytes: 128,
        link_up: crate::vmxnet3::LINK_UP,
        limits: LIMITS,
        answers: Answers::PLAIN,
        moderation: Moderation::NONE,
        adapter: ADAPTER,
        deviations: Deviations::NONE,
        tx_threshold: 1,
        drain_budget: 4096,
    };

    /// QEMU 11.1's own vmxnet3 device, as recorded.
    pub const QEMU_11_1: Self = Self {
        id: 2,
        name: "qemu-11.1",
        link_up: 0x03e8_0001,
        // Source: hw/net/vmxnet3.c, VMXNET3_DEVICE_MAX_TX_QUEUES, _RX_QUEUES and VMXNET3_MAX_INTRS.
        limits: Limits { tx_queues: 8, rx_queues: 8, vectors: 25, merged: 1, ..LIMITS },
        answers: Answers { disabled_offloads: LRO_DISABLED, ..Answers::PLAIN },
        deviations: Deviations::NONE
            .with(Deviation::EcrReadsZero)
            .with(Deviation::ActivateRestoresMac)
            .with(Deviation::InactiveBar0Dropped)
            .with(Deviation::UnmaskForgetsAutoMask)
            .with(Deviation::RxTypeZero)
            .with(Deviation::RxNothingVerified)
            .with(Deviation::ZeroVlanTableDrops)
            .with(Deviation::ResetForgetsShared)
            .with(Deviation::TsoCountsPackets)
            .with(Deviation::LongFramesCountAsLro)
            .with(Deviation::RxQueueZeroOnly)
            .with(Deviation::QueueStatusSilent)
            .with(Deviation::ShortFramesUnpadded)
            .with(Deviation::ZeroRxSgIsOne)
            .with(Deviation::OutOfBuffersConsumes)
            .with(Deviation::CompletesUnasked)
            .with(Deviation::ActivateZeroesCompletions)
            .with(Deviation::UpdateRxProdUntouched)
            .with(Deviation::AdaptiveRingDisabled)
            .with(Deviation::CmdReadRecomputes)
            .with(Deviation::RxBytesAfterStrip),
        ..Self::REFERENCE
    };

    /// Small rings, caches and FIFOs, so that everything wraps, fills and stalls within a few packets.
    pub const SMALL: Self = Self {
        id: 3,
        name: "small",
        tx_data_bytes: 192,
        limits: Limits {
            ring_step: 1,
            merged: 4,
            tx_ring: 64,
            rx_ring: 64,
            rx_comp_ring: 128,
            ring_align: 16,
            ..LIMITS
        },
        answers: Answers { rx_data_bytes: 64, ..Answers::PLAIN },
        adapter: AdapterLimits { cache: 2, pipeline: 2, write_fifo: 4, ingress_fifo: 4, doorbells: 3, ..ADAPTER },
        drain_budget: 256,
        ..Self::REFERENCE
    };

    /// The reference with a BAR0 of 16 MiB, once it is [offered](Profile::offering) at version 7 or later: a driver that asks for it
    /// rings the doorbells of the second page. A device of its own, since who maps the function must give it the room.
    pub const LARGE_BAR: Self = Self {
        id: 4,
        name: "large-bar",
        answers: Answers { capabilities: Self::REFERENCE.answers.capabilities | LARGE_BAR, ..Self::REFERENCE.answers },
        ..Self::REFERENCE
    };

    /// The reference that spaces interrupts by moderation levels and coalescing schemes, which the others may and do ignore.
    pub const MODERATED: Self = Self { id: 5, name: "moderated", moderation: Moderation::SPACED, ..Self::REFERENCE };

    /// QEMU 7.2's own vmxnet3 device, which pads. How it cuts packets that it is asked to segment, into IP fragments, is left out: no
    /// driver can live with that, see `golden/waivers/qemu.json`.
    pub const QEMU_7_2: Self = Self {
        id: 6,
        name: "qemu-7.2",
        deviations: Self::QEMU_11_1.deviations.without(Deviation::ShortFramesUnpadded),
        ..Self::QEMU_11_1
    };

    /// Every profile.
    pub const ALL: &'static [&'static Self] =
        &[&Self::REFERENCE, &Self::QEMU_11_1, &Self::SMALL, &Self::LARGE_BAR, &Self::MODERATED, &Self::QEMU_7_2];

    /// The name of [`Profile::REFERENCE`] for whoever has no choice to make.
    pub const DEFAULT: &'static str = "default";

    /// The profile with number `id`, one that [`Profile::offering`] leads to included.
    pub fn by_id(id: u16) -> Option<&'static Self> {
        Self::ALL.iter().copied().chain(offer::derived()).find(|p| p.id == id)
    }

    /// The profile called `name`: one of [`Profile::ALL`] or [`Profile::DEFAULT`], and behind it, where another offer is wanted, what is
    /// other, such as `reference+v3+q2+intx`. What is said and is so anyway, as in `reference+v1`, changes nothing.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let mut words = name.split('+');
        let plain = words.next().map(|word| if word == Self::DEFAULT { Self::REFERENCE.name } else { word })?;
        let base = Self::ALL.iter().copied().find(|profile| profile.name == plain)?;
        base.offering(words.try_fold(base.offer(), Offer::told)?)
    }

    /// Answer of GET_LINK to a driver of `version` while the link is up.
    pub fn link(&self, version: u8) -> Link {
        Link::told(self.link_up, version)
    }

    /// Answer of GET_TXDATA_DESC_SIZE to a driver of `version`.
    pub fn data_sizes(&self, version: u8) -> DataSizes {
        answers::data_sizes(self.tx_data_bytes, self.answers.rx_data_bytes, version)
    }

    /// Answer of GET_MAX_QUEUES_CONF to a driver of `version`.
    pub fn max_queues(&self, version: u8) -> MaxQueues {
        let width = self.width(version);
        let mut queues = MaxQueues::default();
        queues.set_tx(width.tx_queues);
        queues.set_rx(width.rx_queues);
        queues
    }

    /// What a driver of `version` may use: the least of what the device is built with, what it offers and what the version has.
    pub const fn width(&self, version: u8) -> Width {
        let (row, limits) = (Version::of(version), &self.limits);
        let offered = if self.queue_pairs >= Offer::MOST_QUEUES { u8::MAX } else { self.queue_pairs };
        Width {
            tx_queues: least(least(limits.tx_queues, row.tx_queues), offered),
            rx_queues: least(least(limits.rx_queues, row.rx_queues), offered),
            vectors: least(limits.vectors, row.vectors),
        }
    }

    /// What the newest version that is offered may use: the function has as many MSI-X table entries as this has vectors.
    pub const fn widest(&self) -> Width {
        self.width(self.offer().version)
    }

    /// Bytes of BAR0: 4096, or 16 MiB where drivers of some version can be granted the doorbells of its second page.
    pub const fn bar0_bytes(&self) -> u32 {
        let offered = self.answers.capabilities & LARGE_BAR != 0 && self.offer().version >= CAPABILITIES_SINCE;
        if offered { LARGE_BAR0_BYTES } else { Bar0::MAP.bytes }
    }

    /// The register of BAR0 that a driver of `version` meets at `offset`, see [`Bar0::reached`]; none past the vectors that there are.
    #[inline]
    pub const fn bar0(&self, offset: u32, version: u8, large: bool) -> Option<Bar0> {
        match Bar0::reached(offset, version, large) {
            Some(Bar0::Imr(vector)) if vector >= self.limits.vectors => None,
            register => register,
        }
    }

    /// Why no device can be built so, if none can.
    pub const fn contradiction(&self) -> Option<&'static str> {
        let limits = &self.limits;
        if self.versions == 0 || self.versions >> Offer::NEWEST != 0 {
            return Some("VRRS offers a version that there is not, or none");
        }
        if limits.tx_queues == 0 || limits.rx_queues == 0 || self.queue_pairs == 0 {
            return Some("a device has a queue of each kind");
        }
        let Width { tx_queues, rx_queues, vectors } = NEWEST;
        if limits.tx_queues > tx_queues
            || limits.rx_queues > rx_queues
            || limits.vectors > vectors
            || limits.vectors == 0
        {
            return Some("no version has so many queues or vectors, or a device has no vector");
        }
        if limits.max_mtu < limits.min_mtu || limits.max_mtu_later < limits.max_mtu {
            return Some("an MTU of an earlier version is refused by a later one");
        }
        if let Some(wrong) = answers::wrong_sizes(self.tx_data_bytes, self.answers.rx_data_bytes) {
            return Some(wrong);
        }
        if self.limits.merged != 1 && self.answers.disabled_offloads & LRO_DISABLED != 0 {
            return Some("GET_DISABLED_OFFLOADS says that LRO is off, and segments are merged");
        }
        if let Some(wrong) = self.moderation.contradiction() {
            return Some(wrong);
        }
        self.answers.contradiction()
    }

    /// Whether this device deviates so.
    #[inline]
    pub const fn has(&self, deviation: Deviation) -> bool {
        self.deviations.has(deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::RssFields;

    #[test]
    fn the_deviation_table_names_each_once_in_order() {
        for (i, (deviation, ..)) in Deviation::TABLE.iter().enumerate() {
            assert_eq!(*deviation as usize, i);
        }
        let (newer, older) = (Profile::QEMU_11_1.deviations, Profile::QEMU_7_2.deviations);
        assert_eq!(newer.iter().count(), Deviation::TABLE.len());
        assert_eq!(newer, older.with(Deviation::ShortFramesUnpadded));
        assert!(!older.has(Deviation::ShortFramesUnpadded));
    }

    #[test]
    fn no_profile_contradicts_itself_and_one_that_does_is_told_why() {
        for profile in offer::derived() {
            assert_eq!(profile.contradiction(), None, "{}", profile.name);
        }
        let plain = Profile::REFERENCE;
        let answers = |answers| Profile { answers, ..plain };
        for wrong in [
            Profile { versions: 0, ..plain },
            Profile { versions: 1 << 9, ..plain },
            Profile { tx_data_bytes: 96, ..plain },
            Profile { limits: Limits { max_mtu_later: 8999, ..plain.limits }, ..plain },
            Profile { limits: Limits { tx_queues: 0, ..plain.limits }, ..plain },
            Profile { limits: Limits { rx_queues: 33, ..plain.limits }, ..plain },
            Profile { limits: Limits { vectors: 66, ..plain.limits }, ..plain },
            Profile { queue_pairs: 0, ..plain },
            Profile { moderation: Moderation { adaptive: 8, ..Moderation::SPACED }, ..plain },
            answers(Answers { capabilities: 1 << 17, ..Answers::PLAIN }),
            answers(Answers { tunnels: false, ..Answers::PLAIN }),
            answers(Answers { rss_fields: RssFields::DEFAULT.0, ..Answers::PLAIN }),
            answers(Answers { capabilities: 1 << 31, ..Answers::PLAIN }),
            answers(Answers { rx_data_bytes: 65, ..Answers::PLAIN }),
            answers(Answers { timestamp_bytes: 32, ..Answers::PLAIN }),
            answers(Answers { timestamp_bytes: 1 << 8, ..Answers::PLAIN }),
        ] {
            assert!(wrong.contradiction().is_some(), "{wrong:?}");
        }
        let able = Answers { tunnels: true, capabilities: 1 << 2, timestamp_bytes: 0x80_0040, ..Answers::PLAIN };
        assert_eq!(answers(able).contradiction(), None);
    }

    #[test]
    fn a_driver_may_use_the_least_of_what_is_built_offered_and_known() {
        let of = |profile: &Profile, version| {
            let Width { tx_queues, rx_queues, vectors } = profile.width(version);
            (tx_queues, rx_queues, vectors)
        };
        let plain = Profile::REFERENCE;
        assert_eq!([1, 5, 6, 9].map(|v| of(&plain, v)), [(8, 16, 25), (8, 16, 25), (32, 32, 65), (32, 32, 65)]);
        assert_eq!([1, 9].map(|v| of(&Profile::QEMU_11_1, v)), [(8, 8, 25); 2]);
        assert_eq!(of(&Profile { queue_pairs: 3, ..plain }, 9), (3, 3, 65));
        assert_eq!(plain.widest().vectors, 25, "a device of version 1");
        assert_eq!(plain.max_queues(9).0, 0x2020);
    }

    #[test]
    fn profiles_are_found_by_id_and_by_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::by_id(profile.id).map(|p| p.name), Some(profile.name));
            assert_eq!(Profile::by_name(profile.name).map(|p| p.id), Some(profile.id));
        }
        assert_eq!(Profile::by_name("default"), Some(&Profile::REFERENCE));
        assert_eq!(Profile::by_name("default+v9"), Profile::by_name("reference+v9"));
    }
}
