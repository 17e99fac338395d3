//! Planted bugs. They exist only with the feature `mutants`; each is killed by a check that its row names.

/// Where a bug is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the software body.
    Software,
    /// In the configuration plane.
    Plane,
    /// In the adapter.
    Adapter,
    /// In the move.
    Move,
}

/// What a bug is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Transmit.
    Tx,
    /// Receive.
    Rx,
    /// Masks and causes.
    Interrupts,
    /// What commands and registers do.
    Commands,
    /// Which frames are received.
    Filters,
    /// Checksums, segmentation, tunnels.
    Offloads,
    /// Merging.
    Lro,
    /// Steering by hash.
    Rss,
    /// From body to body.
    Moves,
}

impl Area {
    /// Those that either body has by itself.
    pub const OF_BODIES: [Self; 8] =
        [Self::Tx, Self::Rx, Self::Interrupts, Self::Commands, Self::Filters, Self::Offloads, Self::Lro, Self::Rss];
}

/// A row of the table of bugs, see [`Mutant::TABLE`].
pub type Row = (Mutant, &'static str, Place, &'static str, &'static str, Area);

macro_rules! mutants {
    ($( $(#[doc = $doc:literal])* $variant:ident = $name:literal, $place:ident / $area:ident, $killer:literal; )*) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutant { $( $(#[doc = $doc])* $variant, )* }

        impl Mutant {
            /// Every one: itself, its name, its place, the clause whose check rejects it, what it does wrong, what it is about.
            pub const TABLE: &'static [Row] = &[
                $( (Self::$variant, $name, Place::$place, $killer, concat!($($doc, " "),*), Area::$area) ),*
            ];
        }
    };
}

mutants! {
    /// A TX completion names the descriptor after the last one.
    SwTxCompletionIndex = "sw-tx-completion-index", Software / Tx, "VMX-TX-008";
    /// The TX completion generation does not toggle at the wrap.
    SwTxCompletionGeneration = "sw-tx-completion-generation", Software / Tx, "VMX-TX-010";
    /// The receive completion is published before the data is written.
    SwRxCompletionFirst = "sw-rx-completion-first", Software / Rx, "VMX-RX-010";
    /// A cause that meets a masked vector is forgotten.
    SwPendingDropped = "sw-pending-dropped", Software / Interrupts, "VMX-INT-002";
    /// A vector that fires does not mask itself.
    SwAutoMaskIgnored = "sw-auto-mask-ignored", Software / Interrupts, "VMX-INT-003";
    /// Continuation buffers of ring 1 are reported as ring 0.
    SwRxRqid = "sw-rx-rqid", Software / Rx, "VMX-RX-007";
    /// A frame that is longer than an entry of the RX data ring is copied there.
    SwRxDataOverrun = "sw-rx-data-overrun", Software / Rx, "VMX-V3-002";
    /// The byte behind a frame is written, made of what memory held there.
    SwRxStaleByte = "sw-rx-stale-byte", Software / Rx, "VMX-BAD-002";
    /// The spacing of a vector does not pass while it is masked.
    SwSpacingStandsMasked = "sw-spacing-stands-masked", Software / Interrupts, "VMX-MOD-002";
    /// An unmask ends the spacing of its vector.
    SwUnmaskHurries = "sw-unmask-hurries", Software / Interrupts, "VMX-MOD-001";
    /// An activation finds the spacings of the one before.
    SwSpacingOutlivesStop = "sw-spacing-outlives-stop", Software / Interrupts, "VMX-MOD-004";
    /// A cause of a vector past the 32nd is forgotten.
    SwVectorBeyond32 = "sw-vector-beyond-32", Software / Interrupts, "VMX-V6-010";
    /// With MSI the message tells of every cause, whichever vector it names.
    SwMsiTellsAll = "sw-msi-tells-all", Software / Interrupts, "VMX-PCI-004";
    /// The upper half of a register's stride is the register.
    PlaneStrideAliases = "plane-stride-aliases", Plane / Commands, "VMX-REG-001";
    /// RESET_DEV forgets the version.
    PlaneVersionForgotten = "plane-version-forgotten", Plane / Commands, "VMX-REG-003";
    /// DSAL takes effect at once.
    PlaneAddressInHalves = "plane-address-in-halves", Plane / Commands, "VMX-REG-005";
    /// A function reset leaves the guest's address.
    PlaneMacOutlivesReset = "plane-mac-outlives-reset", Plane / Commands, "VMX-REG-010";
    /// A write of ECR clears every event.
    PlaneEventsCleared = "plane-events-cleared", Plane / Commands, "VMX-REG-012";
    /// QUIESCE_DEV and RESET_DEV leave the answer of the command before.
    PlaneStopAnswersNothing = "plane-stop-answers-nothing", Plane / Commands, "VMX-CMD-003";
    /// Nothing is answered without a shared area.
    PlaneSilentWithoutShared = "plane-silent-without-shared", Plane / Commands, "VMX-CMD-004";
    /// GET_PERM_MAC tells the current address.
    PlanePermanentMacChanges = "plane-permanent-mac-changes", Plane / Commands, "VMX-CMD-007";
    /// GET_CONF_INTR tells the active mask mode.
    PlaneMaskModeActive = "plane-mask-mode-active", Plane / Commands, "VMX-CMD-009";
    /// ACTIVATE_DEV does not look at the magic.
    PlaneMagicIgnored = "plane-magic-ignored", Plane / Commands, "VMX-ACT-001";
    /// A link change is no event.
    PlaneLinkUntold = "plane-link-untold", Plane / Commands, "VMX-EVT-001";
    /// GET_TXDATA_DESC_SIZE answers 96.
    PlaneTxDataSize = "plane-tx-data-size", Plane / Commands, "VMX-V3-001";
    /// GET_COALESCE tells a rate of 0.
    PlaneCoalesceRateZero = "plane-coalesce-rate-zero", Plane / Commands, "VMX-V3-003";
    /// The RX data ring counts on every version.
    PlaneDataRingAnyVersion = "plane-data-ring-any-version", Plane / Commands, "VMX-V3-004";
    /// A coalescing scheme that is out of bounds is put into force.
    PlaneCoalesceUnbounded = "plane-coalesce-unbounded", Plane / Commands, "VMX-V3-005";
    /// Commands of every version are known, whichever is selected.
    PlaneLaterCommands = "plane-later-commands", Plane / Commands, "VMX-VER-001";
    /// The MTU of version 6 is taken at every version.
    PlaneMtuAnyVersion = "plane-mtu-any-version", Plane / Commands, "VMX-V6-002";
    /// What the driver wants is granted, offered or not.
    PlaneGrantsUnoffered = "plane-grants-unoffered", Plane / Commands, "VMX-V7-001";
    /// ESP over IPv6 is hashed at every version.
    PlaneEspAnyVersion = "plane-esp-any-version", Plane / Commands, "VMX-V6-005";
    /// SET_RSS_FIELDS answers that it failed where it cannot do everything.
    PlaneFieldsRefused = "plane-fields-refused", Plane / Commands, "VMX-V4-002";
    /// Interrupts are configured by the first block, however many queues there are.
    PlaneFirstBlock = "plane-first-block", Plane / Interrupts, "VMX-V6-008";
    /// UPDATE_IML reads the first block, however many queues there are.
    PlaneLevelsFirst = "plane-levels-first", Plane / Interrupts, "VMX-V6-009";
    /// New moderation counts from the next activation on.
    PlaneModerationUntold = "plane-moderation-untold", Plane / Interrupts, "VMX-MOD-004";
    /// Masks and doorbells are those of version 6 at every version.
    PlaneWideRegisters = "plane-wide-registers", Plane / Commands, "VMX-V6-006";
    /// The doorbells of the second page do nothing though they were granted.
    PlaneSecondPageDead = "plane-second-page-dead", Plane / Commands, "VMX-V7-002";
    /// The doorbells of the second page work though they were not granted.
    PlaneSecondPageOpen = "plane-second-page-open", Plane / Commands, "VMX-V7-002";
    /// Every TSO segment carries FIN and PSH.
    SwTsoFlags = "sw-tso-flags", Software / Offloads, "VMX-TX-018";
    /// A tunnel of version 4 is taken at every version.
    SwEncapAnyVersion = "sw-encap-any-version", Software / Offloads, "VMX-V4-001";
    /// Segments of a tunnel keep the length of the UDP header around them.
    SwOuterLength = "sw-outer-length", Software / Offloads, "VMX-V4-008";
    /// Fragments are hashed over the ports that they happen to have.
    SwRssFragmentPorts = "sw-rss-fragment-ports", Software / Rss, "VMX-V4-013";
    /// A hash over the ports of UDP says that it is of TCP.
    SwRssUdpUntold = "sw-rss-udp-untold", Software / Rss, "VMX-V4-012";
    /// New RSS fields count from the next activation on.
    SwRssFieldsStale = "sw-rss-fields-stale", Software / Rss, "VMX-V4-014";
    /// A packet is completed twice.
    SwTxCompletesTwice = "sw-tx-completes-twice", Software / Tx, "VMX-TX-008";
    /// An unmask forgets the cause that was remembered.
    SwUnmaskSilent = "sw-unmask-silent", Software / Interrupts, "VMX-INT-002";
    /// UCAST lets frames to other stations in.
    SwFilterAnyUnicast = "sw-filter-any-unicast", Software / Filters, "VMX-FLT-002";
    /// The VLAN table is not looked at.
    SwFilterAnyVlan = "sw-filter-any-vlan", Software / Filters, "VMX-FLT-005";
    /// PROMISC lets nothing more in.
    SwFilterNoPromisc = "sw-filter-no-promisc", Software / Filters, "VMX-FLT-001";
    /// UPDATE_FEATURE does not reach the data path.
    SwFeaturesKept = "sw-features-kept", Software / Commands, "VMX-LIF-006";
    /// RESET_DEV leaves the vectors as they are.
    SwResetKeepsMasks = "sw-reset-keeps-masks", Software / Commands, "VMX-LIF-004";
    /// GET_STATS tells of no frame that was received.
    SwCountersOfNothing = "sw-counters-of-nothing", Software / Commands, "VMX-STA-002";
    /// Segments are merged whether the LRO feature is on or not.
    SwLroUnasked = "sw-lro-unasked", Software / Lro, "VMX-LRO-001";
    /// A merged packet counts one segment too many.
    SwLroSegments = "sw-lro-segments", Software / Lro, "VMX-LRO-002";
    /// A merged packet counts as one frame from the wire.
    SwLroCountsOnce = "sw-lro-counts-once", Software / Lro, "VMX-LRO-004";
    /// Segments are merged past a push.
    SwLroPastPush = "sw-lro-past-push", Software / Lro, "VMX-LRO-005";
    /// A merged packet without buffers is dropped whole.
    SwLroDropsWhole = "sw-lro-drops-whole", Software / Lro, "VMX-LRO-006";
    /// A completion names the first descriptor of its packet.
    HwTxCompletionIndex = "hw-tx-completion-index", Adapter / Tx, "VMX-TX-008";
    /// An unmask forgets the credits.
    HwUnmaskSilent = "hw-unmask-silent", Adapter / Interrupts, "VMX-INT-002";
    /// mask_on_assertion is not looked at.
    HwMaskOnAssertion = "hw-mask-on-assertion", Adapter / Interrupts, "VMX-INT-003";
    /// The directed filter lets frames to other stations in.
    HwFilterAnyUnicast = "hw-filter-any-unicast", Adapter / Filters, "VMX-FLT-002";
    /// Refused VLANs come in.
    HwFilterAnyVlan = "hw-filter-any-vlan", Adapter / Filters, "VMX-FLT-005";
    /// The promiscuous filter lets nothing more in.
    HwFilterNoPromisc = "hw-filter-no-promisc", Adapter / Filters, "VMX-FLT-001";
    /// UPDATE_FEATURE does not reach the adapter.
    HwFeaturesKept = "hw-features-kept", Adapter / Commands, "VMX-LIF-006";
    /// The timer of a masked block does not run.
    HwTimerStandsMasked = "hw-timer-stands-masked", Adapter / Interrupts, "VMX-MOD-002";
    /// The adapter spaces interrupts as it did when it was entered.
    HwModerationKept = "hw-moderation-kept", Adapter / Interrupts, "VMX-MOD-003";
    /// GET_STATS leaves out what the adapter counted.
    HwCountersLost = "hw-counters-lost", Adapter / Commands, "VMX-STA-002";
    /// No interrupt follows an event.
    HwEventSilent = "hw-event-silent", Adapter / Commands, "VMX-EVT-001";
    /// The size of a segment is told with the headers.
    HwLroMss = "hw-lro-mss", Adapter / Lro, "VMX-LRO-002";
    /// The last completion of a merged packet vouches for nothing.
    HwLroUnvouched = "hw-lro-unvouched", Adapter / Lro, "VMX-LRO-003";
    /// Segments of any acknowledgement are merged.
    HwLroAcknowledgements = "hw-lro-acknowledgements", Adapter / Lro, "VMX-LRO-005";
    /// A merged packet without buffers is dropped whole.
    HwLroDropsWhole = "hw-lro-drops-whole", Adapter / Lro, "VMX-LRO-006";
    /// Cached descriptors survive a stop.
    HwStaleCache = "hw-stale-cache", Adapter / Tx, "SWI-CON-001";
    /// The ingress FIFO gives its second frame first.
    HwFifoReordered = "hw-fifo-reordered", Adapter / Rx, "SWI-ORD-001";
    /// The completion colour does not toggle at the wrap.
    HwColorStuck = "hw-color-stuck", Adapter / Tx, "SWI-CMP-001";
    /// The completion overtakes the data in the write FIFO.
    HwCompletionFirst = "hw-completion-first", Adapter / Rx, "VMX-RX-010";
    /// Credits that arrive while the block is masked are lost.
    HwCreditsLost = "hw-credits-lost", Adapter / Interrupts, "VMX-INT-002";
    /// TXPROD is believed: descriptors of the wrong generation are sent.
    HwTrustsDoorbell = "hw-trusts-doorbell", Adapter / Tx, "VMX-TX-001";
    /// A UDP checksum of zero is left zero.
    HwUdpZeroChecksum = "hw-udp-zero-checksum", Adapter / Offloads, "VMX-TX-016";
    /// What a tunnel carries is offloaded at every version in the words of version 7.
    HwInnerAnyVersion = "hw-inner-any-version", Adapter / Offloads, "VMX-V7-005";
    /// The UDP checksum around a tunnel is not made.
    HwOuterChecksumLost = "hw-outer-checksum-lost", Adapter / Offloads, "VMX-V4-009";
    /// Segments of a tunnel all have the identification of the first around them.
    HwOuterIdStuck = "hw-outer-id-stuck", Adapter / Offloads, "VMX-V4-008";
    /// Fragments are hashed over the ports that they happen to have.
    HwRssFragmentPorts = "hw-rss-fragment-ports", Adapter / Rss, "VMX-V4-013";
    /// The SPI of ESP is left out of the hash that is said to cover it.
    HwRssEspWithoutSpi = "hw-rss-esp-without-spi", Adapter / Rss, "VMX-V4-012";
    /// What NIC_CFG says of VMXNET3 is taken once only.
    HwUptCfgOnce = "hw-upt-cfg-once", Adapter / Rss, "VMX-V4-014";
    /// More bytes than the buffer holds are written to it.
    HwRxOverrun = "hw-rx-overrun", Adapter / Rx, "VMX-RX-008";
    /// The completion colour of the adapter restarts at 1.
    MoveColorKept = "move-color-kept", Move / Moves, "SWI-CMP-001";
    /// The fetch index is programmed one too far.
    MoveIndexOffByOne = "move-index-off-by-one", Move / Moves, "SWI-CON-001";
    /// A remembered cause does not travel.
    MovePendingDropped = "move-pending-dropped", Move / Moves, "SWI-WAK-001";
    /// Leaving hardware does not scan the rings.
    MoveNoRescan = "move-no-rescan", Move / Moves, "SWI-WAK-001";
    /// A coalescing scheme is left behind on the way into hardware.
    MoveSchemeLost = "move-scheme-lost", Move / Moves, "SWI-MOD-001";
    /// Policy A opens the port while the FIFO still holds older frames.
    MoveNoBarrier = "move-no-barrier", Move / Moves, "SWI-ORD-001";
    /// A packet that is already on the wire is rolled back.
    MoveRollbackSent = "move-rollback-sent", Move / Moves, "SWI-CON-001";
    /// Masks of vectors that the adapter has not are set when it is left.
    MoveLaterMasksLost = "move-later-masks-lost", Move / Moves, "SWI-WID-002";
    /// A guest enters hardware that uses vectors which the adapter has not.
    MoveVectorsUnasked = "move-vectors-unasked", Move / Moves, "SWI-WID-001";
    /// A guest on MSI enters hardware.
    MoveMsiUnasked = "move-msi-unasked", Move / Moves, "SWI-INT-001";
    /// Filters are not issued again to the adapter.
    MoveFiltersLost = "move-filters-lost", Move / Moves, "SWI-CFG-001";
    /// Hardware counters are not added on leaving.
    MoveCountersLost = "move-counters-lost", Move / Moves, "VMX-STA-002";
    /// The posted index claims the whole ring where one cell must be held back.
    MoveFullRing = "move-full-ring", Move / Moves, "SWI-CON-002";
}

impl Mutant {
    /// The mutant called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        &Self::TABLE[self as usize]
    }
}

/// Which bug is planted in an object, if any. Without the feature `mutants` it has no size and `is` is constantly false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Planted {
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
}

impl Planted {
    /// None.
    pub const NONE: Self = Self {
        #[cfg(feature = "mutants")]
        mutant: None,
    };

    /// This one.
    #[cfg(feature = "mutants")]
    pub const fn some(mutant: Mutant) -> Self {
        Self { mutant: Some(mutant) }
    }

    /// Whether `mutant` is planted here.
    #[inline]
    pub fn is(self, mutant: Mutant) -> bool {
        #[cfg(feature = "mutants")]
        {
            self.mutant == Some(mutant)
        }
        #[cfg(not(feature = "mutants"))]
        {
            let _ = mutant;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_number_and_names_are_unique() {
        for (i, row) in Mutant::TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, i);
            assert_eq!(Mutant::by_name(row.1), Some(row.0));
        }
    }
}
