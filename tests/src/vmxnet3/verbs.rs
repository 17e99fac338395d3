//! What the cases share, built of the verbs of the bench itself.

use crate::case::Check;
use crate::rig::{Bench, Seen};
use spec::profile::Deviations;
use spec::vmxnet3::shared::RX_FILTER_OFFSET;
use spec::vmxnet3::{
    CELL_BYTES, Command, QueueStatus, RxCompDesc, RxFilterConf, RxQueueDesc, RxStats, TxCompDesc, TxDesc, TxQueueDesc,
    TxStats,
};

/// Guest-physical address where no guest of a case has memory: the hole below 4 GiB, where devices have their registers.
pub(in crate::vmxnet3) const HOLE: u64 = 0xfeb0_0000;

/// What became of one packet that was posted: frames on the wire, completions, and packets counted as failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::vmxnet3) struct Fate {
    /// Frames sent.
    pub frames: Vec<Vec<u8>>,
    /// Completions written.
    pub completions: usize,
    /// By how much pktsTxError and pktsTxDiscard grew.
    pub failed: u64,
    /// The queue stopped, and says why.
    pub error: Option<u32>,
}

impl Fate {
    /// The packet went out, or its failure shows: in a counter with its completion, or in the status of its queue.
    pub fn is_visible(&self) -> bool {
        match self.error {
            Some(_) => self.frames.is_empty(),
            None => self.completions == 1 && (self.failed == 1) == self.frames.is_empty(),
        }
    }
}

/// Whether `seen` holds an access to one of the `bytes` bytes at `pa`, a refused one included.
pub(in crate::vmxnet3) fn touches(seen: &[Seen], pa: u64, bytes: u64) -> bool {
    let end = pa.saturating_add(bytes);
    seen.iter().any(|seen| match *seen {
        Seen::Read(at, len) | Seen::Write(at, len) => at < end && pa < at.saturating_add(len as u64),
        Seen::Fault(at) => at < end && pa <= at,
        Seen::Sent(..) | Seen::Vector(_) | Seen::Line(_) => false,
    })
}

/// Every run must have gone the same way, whichever body it was on: our two bodies agree, but for what only one deviates in.
pub(in crate::vmxnet3) fn alike<T: PartialEq>(
    check: &mut Check,
    clause: &'static str,
    runs: &[T],
    claim: &'static str,
) {
    let plain = check.profile().deviations == Deviations::NONE;
    let same = !plain || runs.windows(2).all(|pair| pair[0] == pair[1]);
    check.holds(clause, same, claim);
}

impl Bench<'_> {
    /// RESET_DEV and a plain activation; whether traffic flows both ways behind it.
    pub(in crate::vmxnet3) fn recovers(&mut self) -> bool {
        self.command(Command::ResetDev);
        self.settle();
        self.start();
        self.seen();
        self.serves() && self.serves()
    }

    /// ACTIVATE_DEV from the structures as they are, then QUIESCE_DEV; whether it was refused. A refused one writes nothing.
    pub(in crate::vmxnet3) fn refuses_to_activate(&mut self, check: &mut Check, clause: &'static str) -> bool {
        self.seen();
        let refused = self.activate() != 0;
        if refused {
            self.settle();
            let wrote = self.seen().iter().any(|seen| matches!(seen, Seen::Write(..)));
            check.holds(clause, !wrote, "a refused activation writes no memory");
        }
        self.command(Command::QuiesceDev);
        refused
    }

    /// The bytes of all structures, rings and buffers.
    pub(in crate::vmxnet3) fn image(&self) -> Vec<u8> {
        let bytes = (self.layout.end - self.layout.base) as usize;
        self.memory().bytes(self.layout.base, bytes).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// `bytes` bytes of guest memory.
    pub(in crate::vmxnet3) fn bytes(&self, pa: u64, bytes: usize) -> Vec<u8> {
        self.memory().bytes(pa, bytes).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// The TX statistics of a queue, asked for now.
    pub(in crate::vmxnet3) fn tx_stats(&mut self, queue: usize) -> TxStats {
        self.command(Command::GetStats);
        self.get::<TxQueueDesc>(self.layout.tx_queue_desc(queue)).stats()
    }

    /// The RX statistics of a queue, asked for now.
    pub(in crate::vmxnet3) fn rx_stats(&mut self, queue: usize) -> RxStats {
        self.command(Command::GetStats);
        self.get::<RxQueueDesc>(self.layout.rx_queue_desc(queue)).stats()
    }

    /// The status of a TX queue, asked for now.
    pub(in crate::vmxnet3) fn tx_status(&mut self, queue: usize) -> QueueStatus {
        self.command(Command::GetQueueStatus);
        self.get::<TxQueueDesc>(self.layout.tx_queue_desc(queue)).status()
    }

    /// The `count` RX completion slots from `from` on, as they lie in memory.
    pub(in crate::vmxnet3) fn rx_slots(&self, queue: usize, from: u32, count: u32) -> Vec<RxCompDesc> {
        let area = self.layout.rx[queue];
        let slot = |i| self.get::<RxCompDesc>(area.comp + u64::from((from + i) % area.comp_size) * CELL_BYTES);
        (0..count).map(slot).collect()
    }

    /// Changes the receive filter in the shared area and runs the commands that read it.
    pub(in crate::vmxnet3) fn filter(&mut self, change: impl FnOnce(&mut RxFilterConf)) {
        let pa = self.layout.shared + RX_FILTER_OFFSET;
        let mut filter: RxFilterConf = self.get(pa);
        change(&mut filter);
        self.put(pa, filter);
        for command in [Command::UpdateRxMode, Command::UpdateMacFilters, Command::UpdateVlanFilters] {
            self.command(command);
        }
        self.settle();
    }

    /// Posts `pieces` as one packet that asks for a completion, the first descriptor changed by `change`, and rings.
    pub(in crate::vmxnet3) fn post_pieces(&mut self, queue: usize, pieces: &[&[u8]], change: impl FnOnce(&mut TxDesc)) {
        let mut change = Some(change);
        for (i, piece) in pieces.iter().enumerate() {
            let mut desc = self.piece(queue, piece);
            if let Some(change) = change.take() {
                change(&mut desc);
            }
            desc.set_eop(i + 1 == pieces.len());
            desc.set_cq(i + 1 == pieces.len());
            self.post_cell(queue, desc);
        }
        self.ring(queue);
    }

    /// Packets of queue 0 counted as failed, asked for now.
    pub(in crate::vmxnet3) fn tx_failures(&mut self) -> u64 {
        let stats = self.tx_stats(0);
        stats.pkts_tx_error().wrapping_add(stats.pkts_tx_discard())
    }

    /// What becomes of the packet just posted on queue 0, before which `failures` packets were counted as failed.
    pub(in crate::vmxnet3) fn fate_of(&mut self, failures: u64) -> Fate {
        self.settle();
        let frames = self.sent().into_iter().map(<[u8]>::to_vec).collect();
        let completions = self.completions(0).len();
        let failed = self.tx_failures().wrapping_sub(failures);
        let status = self.tx_status(0);
        Fate { frames, completions, failed, error: (status.stopped() == 1).then(|| status.error()) }
    }

    /// As [`Bench::post_pieces`] on queue 0, and what became of the packet.
    pub(in crate::vmxnet3) fn fate(&mut self, pieces: &[&[u8]], change: impl FnOnce(&mut TxDesc)) -> Fate {
        let failures = self.tx_failures();
        self.completions(0);
        self.seen();
        self.post_pieces(0, pieces, change);
        self.fate_of(failures)
    }

    /// The TX completion due in slot `slot` of lap `lap` for the packet that ends in cell `cell`: all 128 bits of it.
    pub(in crate::vmxnet3) fn tx_completion(cell: u32, lap: u32) -> TxCompDesc {
        let mut expected = TxCompDesc::default();
        expected.set_txd_idx(cell as u16);
        expected.set_generation(lap.is_multiple_of(2));
        expected
    }
}
