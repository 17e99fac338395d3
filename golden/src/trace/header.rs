//! What a trace says of itself before its first call.

use model::mutant::Mutant;
use spec::profile::Profile;

/// Most regions of guest memory a header names.
pub const MOST_REGIONS: usize = 64;
/// Most bytes of guest memory a header names, all regions together.
pub const MOST_MEMORY: u64 = 1 << 30;

/// Which device was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The software body alone.
    Software,
    /// The adapter, entered right after activation.
    Adapter,
    /// Both, switched while traffic runs.
    Switching,
}

impl Device {
    /// Every device by its name.
    pub const TABLE: &'static [(&'static str, Self)] =
        &[("software", Self::Software), ("adapter", Self::Adapter), ("switching", Self::Switching)];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Adapter => "adapter",
            Self::Switching => "switching",
        }
    }

    /// The device of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(word, _)| *word == name).map(|&(_, device)| device)
    }
}

/// What a trace says of itself: what was recorded, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The device.
    pub device: Device,
    /// The profile it was built as.
    pub profile: &'static Profile,
    /// Its permanent address.
    pub mac: [u8; 6],
    /// The guest's kernel and driver, in words; empty when no one says.
    pub kernel: String,
    /// Where the recording came from: the command, the host, in words; empty when no one says.
    pub origin: String,
    /// When, as the caller writes it; empty when no one says.
    pub date: String,
    /// Seed of generated frames: payloads that are its stream are written as `frame(seed,id,length)`.
    pub seed: Option<u64>,
    /// Guest memory, zeroed, as address and length. Empty in a live recording: there its reads tell what it holds.
    pub memory: Vec<(u64, u64)>,
    /// What every byte of that memory holds at the start.
    pub fill: u8,
    /// The case of the suite whose conversation this is; empty: none.
    pub case: String,
    /// The bug that was planted in the device.
    pub mutant: Option<Mutant>,
    /// What somebody else's device says it is, seen from outside only; empty: it is one of our own models.
    pub outside: String,
    /// The case did what no call stands for, so the calls cannot be made again: the case can, with the suite's seed.
    pub partial: Option<u64>,
}

impl Header {
    /// A header that says nothing of where the recording came from.
    pub fn new(device: Device, profile: &'static Profile, mac: [u8; 6]) -> Self {
        Self {
            device,
            profile,
            mac,
            kernel: String::new(),
            origin: String::new(),
            date: String::new(),
            seed: None,
            memory: Vec::new(),
            fill: 0,
            case: String::new(),
            mutant: None,
            outside: String::new(),
            partial: None,
        }
    }

    /// Whether every guest store is in the trace: guest memory is named then.
    pub fn has_stores(&self) -> bool {
        !self.memory.is_empty()
    }
}
