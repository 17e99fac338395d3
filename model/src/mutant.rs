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

macro_rules! mutants {
    ($( $(#[doc = $doc:literal])* $variant:ident = $name:literal, $place:ident, $killer:literal; )*) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutant { $( $(#[doc = $doc])* $variant, )* }

        impl Mutant {
            /// Every one: itself, its name, its place, the clause whose check rejects it, what it does wrong.
            pub const TABLE: &'static [(Self, &'static str, Place, &'static str, &'static str)] = &[
                $( (Self::$variant, $name, Place::$place, $killer, concat!($($doc, " "),*)) ),*
            ];
        }
    };
}

mutants! {
    /// A TX completion names the descriptor after the last one.
    SwTxCompletionIndex = "sw-tx-completion-index", Software, "VMX-TX-008";
    /// The TX completion generation does not toggle at the wrap.
    SwTxCompletionGeneration = "sw-tx-completion-generation", Software, "VMX-TX-010";
    /// The receive completion is published before the data is written.
    SwRxCompletionFirst = "sw-rx-completion-first", Software, "VMX-RX-010";
    /// A cause that meets a masked vector is forgotten.
    SwPendingDropped = "sw-pending-dropped", Software, "VMX-INT-002";
    /// A vector that fires does not mask itself.
    SwAutoMaskIgnored = "sw-auto-mask-ignored", Software, "VMX-INT-003";
    /// Continuation buffers of ring 1 are reported as ring 0.
    SwRxRqid = "sw-rx-rqid", Software, "VMX-RX-007";
    /// A frame that is longer than an entry of the RX data ring is copied there.
    SwRxDataOverrun = "sw-rx-data-overrun", Software, "VMX-V3-002";
    /// The byte behind a frame is written, made of what memory held there.
    SwRxStaleByte = "sw-rx-stale-byte", Software, "VMX-BAD-002";
    /// The upper half of a register's stride is the register.
    PlaneStrideAliases = "plane-stride-aliases", Plane, "VMX-REG-001";
    /// RESET_DEV forgets the version.
    PlaneVersionForgotten = "plane-version-forgotten", Plane, "VMX-REG-003";
    /// DSAL takes effect at once.
    PlaneAddressInHalves = "plane-address-in-halves", Plane, "VMX-REG-005";
    /// A function reset leaves the guest's address.
    PlaneMacOutlivesReset = "plane-mac-outlives-reset", Plane, "VMX-REG-010";
    /// A write of ECR clears every event.
    PlaneEventsCleared = "plane-events-cleared", Plane, "VMX-REG-012";
    /// QUIESCE_DEV and RESET_DEV leave the answer of the command before.
    PlaneStopAnswersNothing = "plane-stop-answers-nothing", Plane, "VMX-CMD-003";
    /// Nothing is answered without a shared area.
    PlaneSilentWithoutShared = "plane-silent-without-shared", Plane, "VMX-CMD-004";
    /// GET_PERM_MAC tells the current address.
    PlanePermanentMacChanges = "plane-permanent-mac-changes", Plane, "VMX-CMD-007";
    /// GET_CONF_INTR tells the active mask mode.
    PlaneMaskModeActive = "plane-mask-mode-active", Plane, "VMX-CMD-009";
    /// ACTIVATE_DEV does not look at the magic.
    PlaneMagicIgnored = "plane-magic-ignored", Plane, "VMX-ACT-001";
    /// A link change is no event.
    PlaneLinkUntold = "plane-link-untold", Plane, "VMX-EVT-001";
    /// GET_TXDATA_DESC_SIZE answers 96.
    PlaneTxDataSize = "plane-tx-data-size", Plane, "VMX-V3-001";
    /// GET_COALESCE tells a rate of 0.
    PlaneCoalesceRateZero = "plane-coalesce-rate-zero", Plane, "VMX-V3-003";
    /// The RX data ring counts on every version.
    PlaneDataRingAnyVersion = "plane-data-ring-any-version", Plane, "VMX-V3-004";
    /// A coalescing scheme that is out of bounds is put into force.
    PlaneCoalesceUnbounded = "plane-coalesce-unbounded", Plane, "VMX-V3-005";
    /// Commands of every version are known, whichever is selected.
    PlaneLaterCommands = "plane-later-commands", Plane, "VMX-VER-001";
    /// The MTU of version 6 is taken at every version.
    PlaneMtuAnyVersion = "plane-mtu-any-version", Plane, "VMX-V6-002";
    /// What the driver wants is granted, offered or not.
    PlaneGrantsUnoffered = "plane-grants-unoffered", Plane, "VMX-V7-001";
    /// SET_RSS_FIELDS answers that it failed where it cannot do everything.
    PlaneFieldsRefused = "plane-fields-refused", Plane, "VMX-V4-002";
    /// Every TSO segment carries FIN and PSH.
    SwTsoFlags = "sw-tso-flags", Software, "VMX-TX-018";
    /// A packet is completed twice.
    SwTxCompletesTwice = "sw-tx-completes-twice", Software, "VMX-TX-008";
    /// Cached descriptors survive a stop.
    HwStaleCache = "hw-stale-cache", Adapter, "SWI-CON-001";
    /// The ingress FIFO gives its second frame first.
    HwFifoReordered = "hw-fifo-reordered", Adapter, "SWI-ORD-001";
    /// The completion colour does not toggle at the wrap.
    HwColorStuck = "hw-color-stuck", Adapter, "SWI-CMP-001";
    /// The completion overtakes the data in the write FIFO.
    HwCompletionFirst = "hw-completion-first", Adapter, "VMX-RX-010";
    /// Credits that arrive while the block is masked are lost.
    HwCreditsLost = "hw-credits-lost", Adapter, "VMX-INT-002";
    /// TXPROD is believed: descriptors of the wrong generation are sent.
    HwTrustsDoorbell = "hw-trusts-doorbell", Adapter, "VMX-TX-001";
    /// A UDP checksum of zero is left zero.
    HwUdpZeroChecksum = "hw-udp-zero-checksum", Adapter, "VMX-TX-016";
    /// More bytes than the buffer holds are written to it.
    HwRxOverrun = "hw-rx-overrun", Adapter, "VMX-RX-008";
    /// The completion colour of the adapter restarts at 1.
    MoveColorKept = "move-color-kept", Move, "SWI-CMP-001";
    /// The fetch index is programmed one too far.
    MoveIndexOffByOne = "move-index-off-by-one", Move, "SWI-CON-001";
    /// A remembered cause does not travel.
    MovePendingDropped = "move-pending-dropped", Move, "SWI-WAK-001";
    /// Leaving hardware does not scan the rings.
    MoveNoRescan = "move-no-rescan", Move, "SWI-WAK-001";
    /// Policy A opens the port while the FIFO still holds older frames.
    MoveNoBarrier = "move-no-barrier", Move, "SWI-ORD-001";
    /// A packet that is already on the wire is rolled back.
    MoveRollbackSent = "move-rollback-sent", Move, "SWI-CON-001";
    /// Filters are not issued again to the adapter.
    MoveFiltersLost = "move-filters-lost", Move, "SWI-CFG-001";
    /// Hardware counters are not added on leaving.
    MoveCountersLost = "move-counters-lost", Move, "VMX-STA-002";
    /// The posted index claims the whole ring where one cell must be held back.
    MoveFullRing = "move-full-ring", Move, "SWI-CON-002";
}

impl Mutant {
    /// The mutant called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its row of the table.
    pub fn row(self) -> &'static (Self, &'static str, Place, &'static str, &'static str) {
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
