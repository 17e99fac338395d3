//! Devices under test: the face that the suite talks to, whoever built the device behind it.
//!
//! A [`Dut`] is a VMXNET3 at power-on in a machine whose firmware has placed its BARs, switched on memory decode and bus mastering,
//! and whose kernel has given each MSI-X vector a message of its own. It has one region of guest memory that belongs to the suite
//! alone. What a device does by itself is told by [`Dut::settle`], never in between.

mod lines;
mod ours;
mod process;
mod program;
pub mod protocol;
mod qemu;
mod qmp;
mod qtest;
mod script;
mod serve;
mod vfio;

pub use ours::Ours;
pub use program::{PATIENCE, Program};
pub use qemu::{Options, Qemu, Saved, Starts};
use serde::{Deserialize, Serialize};
pub use serve::serve_lines;
use spec::event::Bar;
use spec::vmxnet3::Interrupts;
use std::fmt;
pub use vfio::{Place, Socket, VfioUser};

/// Something that a device did, as far as one sees it from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It sent a frame.
    Sent(Vec<u8>),
    /// It sent the message of a vector, once or more often since the last call: equal stores to one word are one. That of MSI is
    /// vector 0.
    Vector(u16),
    /// Its INTx line changed.
    Line(bool),
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What it is called on the command line.
    pub name: String,
    /// Who built it and which version it is, as it says itself.
    pub identity: String,
    /// The version of its program that waivers name: two numbers and a dot.
    pub version: String,
    /// Where the suite's guest memory begins.
    pub base: u64,
    /// Bytes of it.
    pub bytes: usize,
    /// The address it was built with.
    pub mac: [u8; 6],
    /// MSI-X vectors that the suite can see; 0: it raises its INTx line.
    pub vectors: u16,
}

/// Something that a device cannot do, or that nobody can see of it: what needs it is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Frames cannot be offered to it.
    Offer,
    /// Frames that it sends are not seen.
    Sent,
    /// Vectors and the INTx line are not seen.
    Interrupts,
    /// Its link does not go up and down.
    Link,
    /// It cannot be reset from the bus.
    Reset,
    /// Bus mastering cannot be switched.
    BusMaster,
    /// Nobody can let its time go on by so much and no more.
    Time,
    /// It keeps the kind of interrupts that it was set up with.
    InterruptKind,
    /// Its configuration space cannot be reached.
    Configuration,
}

impl Lack {
    /// Why a case that needs it cannot be judged.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Offer => "frames cannot be offered to the device",
            Self::Sent => "frames that the device sends cannot be seen",
            Self::Interrupts => "interrupts of the device cannot be seen",
            Self::Link => "the link of the device cannot go up and down",
            Self::Reset => "the device cannot be reset from the bus",
            Self::BusMaster => "bus mastering of the device cannot be switched",
            Self::Time => "nobody can wind the clock of the device",
            Self::InterruptKind => "the kind of interrupts of the device cannot be changed",
            Self::Configuration => "configuration space of the device cannot be reached",
        }
    }
}

/// What ends a conversation with a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot do this at all; whatever else it is asked it still answers.
    Cannot(Lack),
    /// It cannot be started or set up.
    Start(String),
    /// It ended in the middle of a conversation: how, and its last words.
    Gone(String),
    /// It did not answer in time: what it was asked.
    Hangs(String),
    /// It answered something that is no answer.
    Odd(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cannot(lack) => f.write_str(lack.reason()),
            Self::Start(why) => write!(f, "the device does not start: {why}"),
            Self::Gone(how) => write!(f, "the device is gone: {how}"),
            Self::Hangs(asked) => write!(f, "the device does not answer: {asked}"),
            Self::Odd(answer) => write!(f, "the device answers what is no answer: {answer}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// A device under test.
///
/// # Errors
/// Every method: [`Trouble`], after which no other call is of use but behind [`Trouble::Cannot`].
#[expect(clippy::missing_errors_doc, reason = "said once, at the trait")]
pub trait Dut {
    /// What it is.
    fn about(&self) -> &About;

    /// What it cannot do, or what cannot be seen of it. A method that stands for one of these answers [`Trouble::Cannot`].
    fn cannot(&self) -> &[Lack] {
        &[]
    }

    /// Reads `width` bytes (1, 2, 4 or 8) of a register page.
    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble>;

    /// Writes the low `width` bytes (1, 2, 4 or 8) of `value` to a register page. What the device does on it has happened when this
    /// returns, as far as the guest could tell.
    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble>;

    /// Copies guest memory; `pa` and the length lie in the suite's region.
    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble>;

    /// Stores to guest memory; `pa` and the length lie in the suite's region.
    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble>;

    /// A frame reaches the device from its wire. It may take it at once, later, or not at all.
    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        let _ = frame;
        Err(Trouble::Cannot(Lack::Offer))
    }

    /// Waits until the device has done all that it does by itself, what it lets wait for a while included, and adds what it did since
    /// the last call, oldest first.
    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble>;

    /// Lets `ns` nanoseconds of the device's own time go on, in which it does what it can, and adds that as [`Dut::settle`] does; with
    /// 0 it does what waits for no time. Only where its time stands still otherwise.
    fn advance(&mut self, ns: u64, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        let _ = (ns, seen);
        Err(Trouble::Cannot(Lack::Time))
    }

    /// The link goes up or down.
    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        let _ = up;
        Err(Trouble::Cannot(Lack::Link))
    }

    /// Resets the function as a bus reset does, and sets it up again as at the start. Guest memory keeps its bytes.
    fn reset(&mut self) -> Result<(), Trouble> {
        Err(Trouble::Cannot(Lack::Reset))
    }

    /// Switches bus mastering on or off.
    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        let _ = on;
        Err(Trouble::Cannot(Lack::BusMaster))
    }

    /// The kernel changes over to another kind of interrupts: it disables whatever is enabled, then enables MSI or MSI-X, as asked.
    /// The driver is to activate the device again behind it.
    fn interrupts(&mut self, kind: Interrupts) -> Result<(), Trouble> {
        let _ = kind;
        Err(Trouble::Cannot(Lack::InterruptKind))
    }

    /// Reads the dword of configuration space at `offset`, a multiple of 4.
    fn config(&mut self, offset: u8) -> Result<u32, Trouble> {
        let _ = offset;
        Err(Trouble::Cannot(Lack::Configuration))
    }

    /// Writes the dword of configuration space at `offset`, a multiple of 4.
    fn set_config(&mut self, offset: u8, value: u32) -> Result<(), Trouble> {
        let _ = (offset, value);
        Err(Trouble::Cannot(Lack::Configuration))
    }

    /// The conversation so far in the device's own words, from which it can be repeated; empty where there are none.
    fn script(&self) -> String {
        String::new()
    }
}
