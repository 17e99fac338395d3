//! The `vmxnet3` section of a migration stream as a typed value, every field checked.
//!
//! Rings may be what no driver would set up, as long as they are rings: that judgement is a linter's. What the section
//! cannot hold if QEMU wrote it, and what would send a reader astray, is refused here.
//!
//! Source: QEMU hw/net/vmxnet3.c, vmstate_vmxnet3, version 1.

use super::qemu_stream::{self, Node, Section, Stream, Value};
use super::{ImportError, Rule};
use spec::vmxnet3::{CELL_BYTES, RxStats, TxStats};

/// Entries in a ring are a multiple of this.
const RING_SIZE_ALIGN: u64 = 32;
/// Queues of each kind that the section has. Source: VMXNET3_DEVICE_MAX_TX_QUEUES and _RX_QUEUES of QEMU's vmxnet3_defs.h.
const MOST_QUEUES: usize = 8;
/// Vectors that the section has. Source: VMXNET3_MAX_INTRS, the same.
const VECTORS: usize = 25;
/// The largest ring of descriptors, and of TX completions.
const MAX_RING: u64 = 4096;
/// The largest ring of RX completions.
const MAX_RX_COMP_RING: u64 = 8192;

/// A ring as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ring {
    /// Guest-physical address of entry 0.
    pub pa: u64,
    /// Entries.
    pub size: u32,
    /// Bytes an entry.
    pub cell_size: u32,
    /// Index of the entry the device uses next.
    pub next: u32,
    /// Generation that makes this entry the device's.
    pub generation: bool,
}

/// A transmit queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxQueue {
    /// Descriptors.
    pub tx_ring: Ring,
    /// Completions.
    pub comp_ring: Ring,
    /// Vector of its completions.
    pub intr_idx: u8,
    /// Where GET_STATS writes.
    pub tx_stats_pa: u64,
    /// Counters since activation.
    pub stats: TxStats,
}

/// A receive queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RxQueue {
    /// Descriptors: ring 0 and ring 1.
    pub rx_ring: [Ring; 2],
    /// Completions.
    pub comp_ring: Ring,
    /// Vector of its completions.
    pub intr_idx: u8,
    /// Where GET_STATS writes.
    pub rx_stats_pa: u64,
    /// Counters since activation.
    pub stats: RxStats,
}

/// An interrupt vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interrupt {
    /// The guest masked it, or the device did by auto-masking.
    pub is_masked: bool,
    /// A cause waits behind the mask.
    pub is_pending: bool,
    /// The INTx line is up for it.
    pub is_asserted: bool,
}

/// What QEMU saves of a `vmxnet3` device.
///
/// It lacks the ring contents (they are in guest memory), the current MAC and any half-gathered packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmxnet3Section {
    /// The machine type of the whole stream.
    pub machine: String,
    /// Header of the section.
    pub section: Section,
    /// PCI configuration space: 256 or 4096 bytes.
    pub config: Vec<u8>,
    /// Levels of the four INTx lines.
    pub irq_state: [u32; 4],
    /// MSI-X table entries; empty when the device has no MSI-X.
    pub msix_table: Vec<u128>,
    /// MSI-X pending bits.
    pub msix_pba: Vec<u8>,
    /// The back end merges received packets.
    pub rx_packets_compound: bool,
    /// RXVLAN of `uptFeatures`.
    pub rx_vlan_stripping: bool,
    /// LRO of `uptFeatures`.
    pub lro_supported: bool,
    /// `rxMode`.
    pub rx_mode: u32,
    /// Multicast addresses in use.
    pub mcast_list: Vec<[u8; 6]>,
    /// `vfTable`.
    pub vlan_table: [u32; 128],
    /// `mtu`.
    pub mtu: u32,
    /// Most descriptors a received packet may take.
    pub max_rx_frags: u16,
    /// Sum of the transmit ring sizes.
    pub max_tx_frags: u32,
    /// `eventIntrIdx`.
    pub event_int_idx: u8,
    /// `autoMask`.
    pub auto_int_masking: bool,
    /// Transmit queues in use.
    pub txq_num: u8,
    /// Receive queues in use.
    pub rxq_num: u8,
    /// Activated and not quiesced.
    pub device_active: bool,
    /// The last value written to CMD.
    pub last_command: u32,
    /// Answer of GET_LINK.
    pub link_status_and_speed: u32,
    /// MACL as last written.
    pub temp_mac: u32,
    /// Address of the shared area.
    pub drv_shmem: u64,
    /// DSAL as last written, until DSAH is.
    pub temp_shared_guest_driver_memory: u64,
    /// All eight transmit queues.
    pub txq_descr: Vec<TxQueue>,
    /// All eight receive queues.
    pub rxq_descr: Vec<RxQueue>,
    /// All 25 vectors.
    pub interrupt_states: Vec<Interrupt>,
    /// The same section untyped, with the place of every field.
    pub tree: Node,
}

impl Vmxnet3Section {
    /// The first `vmxnet3` device of a stream. The bytes may not be compressed.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, ImportError> {
        let stream = qemu_stream::parse(file, bytes)?;
        Self::from_section(file, &stream, stream.of_kind("vmxnet3")?[0])
    }

    /// Every `vmxnet3` device of a stream, in stream order.
    pub fn parse_all(file: &str, bytes: &[u8]) -> Result<Vec<Self>, ImportError> {
        let stream = qemu_stream::parse(file, bytes)?;
        stream.of_kind("vmxnet3")?.into_iter().map(|section| Self::from_section(file, &stream, section)).collect()
    }

    /// The transmit queues in use.
    pub fn tx_queues(&self) -> &[TxQueue] {
        &self.txq_descr[..usize::from(self.txq_num)]
    }

    /// The receive queues in use.
    pub fn rx_queues(&self) -> &[RxQueue] {
        &self.rxq_descr[..usize::from(self.rxq_num)]
    }

    fn from_section(file: &str, stream: &Stream<'_>, section: &Section) -> Result<Self, ImportError> {
        let tree = stream.tree(section)?;
        let fields = Fields { file, path: String::new(), node: &tree };
        fields.require(section.version == 1, "version", u64::from(section.version), Rule::Is(1))?;
        let config = fields.bytes_of_kind("pci config")?;
        let known = config.len() == 256 || config.len() == 4096;
        fields.require(known, "config: length", config.len() as u64, Rule::Says("must be 256 or 4096"))?;
        let irq_state = fields.bytes_of_kind("pci irq state")?;
        fields.require(irq_state.len() == 16, "irq_state: length", irq_state.len() as u64, Rule::Is(16))?;
        let (msix_table, msix_pba) = msix(&fields)?;
        let txq_num = fields.at_most("txq_num", MOST_QUEUES as u64)? as u8;
        let rxq_num = fields.at_most("rxq_num", MOST_QUEUES as u64)? as u8;
        let device_active = fields.at_most("device_active", 1)? == 1;
        let txq_descr = fields.array("txq_descr", MOST_QUEUES)?;
        let txq_descr = txq_descr.iter().enumerate().map(|(q, queue)| tx_queue(queue, q < usize::from(txq_num)));
        let rxq_descr = fields.array("rxq_descr", MOST_QUEUES)?;
        let rxq_descr = rxq_descr.iter().enumerate().map(|(q, queue)| rx_queue(queue, q < usize::from(rxq_num)));
        let vectors = fields.array("interrupt_states", VECTORS)?;
        let vlan_words = fields.words("vlan_table", 128)?;
        let mtu = fields.at_most("mtu", u64::from(u32::MAX))?;
        if device_active {
            fields.check("mtu", mtu, Rule::Within(60, 9000), (60..=9000).contains(&mtu))?;
        }
        Ok(Self {
            machine: stream.machine.clone(),
            section: section.clone(),
            config: config.to_vec(),
            irq_state: core::array::from_fn(|i| u32::from_be_bytes([0, 1, 2, 3].map(|b| irq_state[4 * i + b]))),
            msix_table,
            msix_pba,
            rx_packets_compound: fields.boolean("rx_packets_compound")?,
            rx_vlan_stripping: fields.boolean("rx_vlan_stripping")?,
            lro_supported: fields.boolean("lro_supported")?,
            rx_mode: fields.u32("rx_mode")?,
            mcast_list: multicast(&fields)?,
            vlan_table: core::array::from_fn(|i| vlan_words[i]),
            mtu: mtu as u32,
            max_rx_frags: fields.at_most("max_rx_frags", u64::from(u16::MAX))? as u16,
            max_tx_frags: fields.u32("max_tx_frags")?,
            event_int_idx: fields.at_most("event_int_idx", VECTORS as u64 - 1)? as u8,
            auto_int_masking: fields.boolean("auto_int_masking")?,
            txq_num,
            rxq_num,
            device_active,
            last_command: fields.u32("last_command")?,
            link_status_and_speed: fields.u32("link_status_and_speed")?,
            temp_mac: fields.u32("temp_mac")?,
            drv_shmem: fields.uint("drv_shmem")?,
            temp_shared_guest_driver_memory: fields.uint("temp_shared_guest_driver_memory")?,
            txq_descr: txq_descr.collect::<Result<_, _>>()?,
            rxq_descr: rxq_descr.collect::<Result<_, _>>()?,
            interrupt_states: vectors.iter().map(interrupt).collect::<Result<_, _>>()?,
            tree,
        })
    }
}

/// Table and pending bits: `n` entries of 16 bytes, then a bit each, in whole bytes.
fn msix(fields: &Fields<'_>) -> Result<(Vec<u128>, Vec<u8>), ImportError> {
    let Ok(state) = fields.bytes_of_kind("msix state") else { return Ok((Vec::new(), Vec::new())) };
    let n = state.len() * 8 / 129;
    let whole = 16 * n + n.div_ceil(8);
    fields.require(state.len() == whole, "msix: length", state.len() as u64, Rule::Is(whole as u64))?;
    let (table, pba) = state.split_at(16 * n);
    let entry = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &byte| value << 8 | u128::from(byte));
    Ok((table.chunks_exact(16).map(entry).collect(), pba.to_vec()))
}

fn multicast(fields: &Fields<'_>) -> Result<Vec<[u8; 6]>, ImportError> {
    let (len, size) = (fields.uint("mcast_list_len")?, fields.uint("mcast_list_buff_size")?);
    let list = fields.node.get("vmxnet3/mcast_list").and_then(|subsection| subsection.get("mcast_list"));
    let list = match list.map(|node| &node.value) {
        Some(Value::Bytes(bytes)) => bytes.as_slice(),
        _ => &[],
    };
    fields.check("mcast_list_buff_size", size, Rule::Is(list.len() as u64), size == list.len() as u64)?;
    fields.check("mcast_list_len", len, Rule::AtMost(size / 6), len <= size / 6)?;
    let address = |bytes: &[u8]| core::array::from_fn(|i| bytes[i]);
    Ok(list.chunks_exact(6).take(len as usize).map(address).collect())
}

fn tx_queue(fields: &Fields<'_>, used: bool) -> Result<TxQueue, ImportError> {
    let mut stats = TxStats::default();
    counters(&fields.inner("txq_stats")?, TxStats::LAYOUT, &mut stats.0)?;
    Ok(TxQueue {
        tx_ring: ring(&fields.inner("tx_ring")?, used, MAX_RING, false)?,
        comp_ring: ring(&fields.inner("comp_ring")?, used, MAX_RING, false)?,
        intr_idx: vector(fields, used)?,
        tx_stats_pa: fields.uint("tx_stats_pa")?,
        stats,
    })
}

fn rx_queue(fields: &Fields<'_>, used: bool) -> Result<RxQueue, ImportError> {
    let mut stats = RxStats::default();
    counters(&fields.inner("rxq_stats")?, RxStats::LAYOUT, &mut stats.0)?;
    let rings = fields.array("rx_ring", 2)?;
    Ok(RxQueue {
        // iPXE and illumos leave ring 1 out.
        rx_ring: [ring(&rings[0], used, MAX_RING, false)?, ring(&rings[1], used, MAX_RING, true)?],
        comp_ring: ring(&fields.inner("comp_ring")?, used, MAX_RX_COMP_RING, false)?,
        intr_idx: vector(fields, used)?,
        rx_stats_pa: fields.uint("rx_stats_pa")?,
        stats,
    })
}

fn vector(fields: &Fields<'_>, used: bool) -> Result<u8, ImportError> {
    Ok(fields.at_most("intr_idx", if used { VECTORS as u64 - 1 } else { 255 })? as u8)
}

/// Fills a statistics block by the names of its declaration.
fn counters(fields: &Fields<'_>, layout: &'static spec::layout::Layout, bytes: &mut [u8]) -> Result<(), ImportError> {
    for field in layout.fields {
        let at = field.low as usize / 8;
        bytes[at..at + 8].copy_from_slice(&fields.uint(field.name)?.to_le_bytes());
    }
    Ok(())
}

fn ring(fields: &Fields<'_>, used: bool, most: u64, may_be_absent: bool) -> Result<Ring, ImportError> {
    let ring = Ring {
        pa: fields.uint("pa")?,
        size: fields.u32("size")?,
        cell_size: fields.u32("cell_size")?,
        next: fields.u32("next")?,
        generation: fields.boolean("gen")?,
    };
    let (size, next) = (u64::from(ring.size), u64::from(ring.next));
    if !used || may_be_absent && size == 0 && next == 0 {
        return Ok(ring);
    }
    fields.check("size", size, Rule::NotZero, size != 0)?;
    fields.check("size", size, Rule::MultipleOf(RING_SIZE_ALIGN), size % RING_SIZE_ALIGN == 0)?;
    fields.check("size", size, Rule::AtMost(most), size <= most)?;
    fields.check("next", next, Rule::Below(size), next < size)?;
    fields.check(
        "cell_size",
        u64::from(ring.cell_size),
        Rule::Is(CELL_BYTES),
        u64::from(ring.cell_size) == CELL_BYTES,
    )?;
    let last = ring.pa.checked_add(size * CELL_BYTES - 1);
    fields.check("pa", ring.pa, Rule::Says("the ring must end inside 64 bits"), last.is_some())?;
    Ok(ring)
}

fn interrupt(fields: &Fields<'_>) -> Result<Interrupt, ImportError> {
    Ok(Interrupt {
        is_masked: fields.boolean("is_masked")?,
        is_pending: fields.boolean("is_pending")?,
        is_asserted: fields.boolean("is_asserted")?,
    })
}

/// A structure of the tree, read by field name.
struct Fields<'a> {
    file: &'a str,
    path: String,
    node: &'a Node,
}

impl<'a> Fields<'a> {
    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    fn missing(&self, name: &str) -> ImportError {
        ImportError::NoField { file: self.file.into(), offset: self.node.offset, field: self.field(name) }
    }

    fn find(&self, name: &str) -> Result<&'a Node, ImportError> {
        self.node.get(name).ok_or_else(|| self.missing(name))
    }

    fn inner(&self, name: &str) -> Result<Fields<'a>, ImportError> {
        Ok(Fields { file: self.file, path: self.field(name), node: self.find(name)? })
    }

    fn array(&self, name: &str, len: usize) -> Result<Vec<Fields<'a>>, ImportError> {
        let node = self.find(name)?;
        let elements = node.children();
        if elements.len() != len {
            let (field, rule) = (format!("{}: elements", self.field(name)), Rule::Is(len as u64));
            return Err(ImportError::value(self.file, node.offset, field, elements.len() as u64, rule));
        }
        let path = |i| format!("{}[{i}]", self.field(name));
        Ok(elements.iter().enumerate().map(|(i, node)| Fields { file: self.file, path: path(i), node }).collect())
    }

    fn words(&self, name: &str, len: usize) -> Result<Vec<u32>, ImportError> {
        self.array(name, len)?
            .iter()
            .map(|element| match element.node.value {
                Value::Uint(value) => Ok(value as u32),
                _ => Err(element.missing("")),
            })
            .collect()
    }

    fn uint(&self, name: &str) -> Result<u64, ImportError> {
        match self.find(name)?.value {
            Value::Uint(value) => Ok(value),
            _ => Err(self.missing(name)),
        }
    }

    fn at_most(&self, name: &str, most: u64) -> Result<u64, ImportError> {
        let value = self.uint(name)?;
        self.check(name, value, Rule::AtMost(most), value <= most)?;
        Ok(value)
    }

    fn u32(&self, name: &str) -> Result<u32, ImportError> {
        Ok(self.at_most(name, u64::from(u32::MAX))? as u32)
    }

    fn boolean(&self, name: &str) -> Result<bool, ImportError> {
        Ok(self.at_most(name, 1)? == 1)
    }

    /// The bytes of the one field of a type, wherever it is nested: the parents' names differ between versions.
    fn bytes_of_kind(&self, kind: &str) -> Result<&'a [u8], ImportError> {
        let mut rest = vec![self.node];
        while let Some(node) = rest.pop() {
            match &node.value {
                Value::Bytes(bytes) if node.kind == kind => return Ok(bytes),
                _ => rest.extend(node.children()),
            }
        }
        Err(self.missing(kind))
    }

    /// Refuses a field of this structure unless `holds`.
    fn check(&self, name: &str, value: u64, rule: Rule, holds: bool) -> Result<(), ImportError> {
        let offset = self.find(name)?.offset;
        if holds { Ok(()) } else { Err(ImportError::value(self.file, offset, self.field(name), value, rule)) }
    }

    /// Refuses something about the structure as a whole unless `holds`.
    fn require(&self, holds: bool, what: &str, value: u64, rule: Rule) -> Result<(), ImportError> {
        if holds { Ok(()) } else { Err(ImportError::value(self.file, self.node.offset, self.field(what), value, rule)) }
    }
}
