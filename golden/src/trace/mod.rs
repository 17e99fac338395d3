//! The text trace: one event a line, lossless. Same calls, same effects.
//!
//! # Format, version 1
//!
//! ```text
//! vnic-trace 1
//! device switching
//! profile reference
//! mac 02:00:00:00:00:01
//! kernel Linux 6.1.192, vmxnet3 1.7.0.0-k-NAPI
//! origin vnic serve --record
//! date 2026-11-22
//! seed 7
//! memory 0x10000 +0x400000
//! begin
//! > write bar1 0x20 0xcafe0000  # CMD ACTIVATE_DEV
//! < read 0x10000 e1febeba...
//! > read bar1 0x20  # CMD
//! = 0x0
//! > offer ffffffffffff02000000000288b5frame(7,3,46)
//! > run 4096
//! < fetch 0x11000 00200100000000003c00004000300000
//! < write 0x12000 ffffffffffff02000000000288b5frame(7,3,46)
//! < publish 0x13000 00000000000000003c00000003008080
//! < vector 1
//! > message 1
//! ```
//!
//! A `#` begins a remark that goes to the end of the line; blank lines mean nothing. Words are parted by blanks. Addresses, offsets
//! and register values are hexadecimal with `0x`, counts and lengths decimal.
//!
//! The header comes first: `vnic-trace VERSION`, then in any order and each at most once `device software | adapter | switching`,
//! `profile NAME`, `mac ADDRESS` (these three must be there), `kernel`, `origin` and `date` with words up to the end of the line,
//! `seed N`, `case NAME` of the suite, `mutant NAME` of a planted bug, `partial SEED`, `fill BYTE`,
//! `outside WORDS`; then any number of `memory ADDRESS +LENGTH` in
//! ascending order; then `begin`. `partial` says that the case did what no call stands for, so that it can be held again, with the
//! suite's seed, but its calls cannot be made again. `outside` says that the device is somebody else's, which one, and that it was seen from
//! outside only: no reads, no refused accesses, all frames on queue 0, and what it did to memory where it was looked at, behind `run` and `idle`.
//! Every byte of named memory is `fill` at the start, zero where nothing is said, and
//! every guest store is in the trace. A live recording names none: there the device's reads tell what memory held.
//!
//! | line | is |
//! |---|---|
//! | `> write BAR OFFSET VALUE`, `> read BAR OFFSET` | a register access; BAR is `bar0`, `bar1` or `bar2` |
//! | `> config OFFSET HEX` | a write to configuration space |
//! | `> store ADDRESS DATA` | a guest store |
//! | `> offer DATA` | a frame reached the uplink |
//! | `> wire ready \| busy`, `> link up \| down` | the wire, the link |
//! | `> advance NS` | time went on |
//! | `> run BUDGET`, `> step BUDGET` | devices ran until nothing moved, or took so many steps; `run` answers 1 when the budget ended it |
//! | `> notice` | rings were looked at for what was posted without a doorbell |
//! | `> tx-threshold PACKETS` | `txThreshold` of every TX queue was set, as one does who looks at the rings meanwhile |
//! | `> switch enter \| leave drain \| rollback A \| B \| C \| D [fail STAGE]` | a switch was asked for |
//! | `> message VECTOR` | a message was taken for the guest |
//! | `> settle`, `> restore HEX` | the function was brought to rest, frames not delivered left; it became one that was saved |
//! | `> function-reset`, `> enable-msix`, `> table-outside`, `> idle` | as in [`Call`] |
//! | `< read ADDRESS DATA`, `< write ADDRESS DATA` | DMA |
//! | `< fetch ADDRESS HEX`, `< publish ADDRESS HEX` | a descriptor read, a completion written; 16 bytes in memory order |
//! | `< fault read \| write ADDRESS +LENGTH` | a refused access |
//! | `< transmit QUEUE DATA` | a frame left |
//! | `< drop DATA` | a frame was dropped on purpose outside the device |
//! | `< vector INDEX`, `< intx up \| down` | an interrupt |
//! | `< switched hardware \| software` | the body behind the function changed |
//! | `< look ADDRESS HEX`, `< look ADDRESS fault +LENGTH` | the hypervisor looked at guest memory; told after the other effects of its call |
//! | `= VALUE`, `= refused` | what the call before it answered; nothing stands for done |
//! | `! CLAUSE WORDS` | a claim of the case that did not hold when the conversation had come this far |
//!
//! HEX is pairs of digits, `-` for no bytes. DATA is HEX, or HEX (perhaps none) and `frame(SEED,ID,LENGTH)`: the stream of
//! [`spec::frame::fill`]. Effects and the answer belong to the call before them.

mod call;
mod divergence;
mod exercise;
mod follow;
mod frames;
mod header;
mod known;
mod names;
mod outside;
mod read;
mod replay;
mod script;
mod seen;
mod watched;
mod words;
mod write;

pub use call::{Answer, Call, apply};
pub use divergence::{Divergence, cell_layout, describe};
pub use exercise::exercise;
pub use follow::{Place, walk};
pub use header::{Device, Header, MOST_MEMORY, MOST_REGIONS};
pub use outside::{MOST_OUTSIDE, Outside, OutsideError, model_outside, replay_outside};
pub use read::{is_trace, parse};
pub use replay::{Replay, ReplayError, replay, replay_planted};
pub use script::{ScriptError, Setup, record};
pub use seen::{Claim, Looked, Seen, Step, Trace, What};
pub use watched::{Look, Looks, Watched};
pub use words::{MOST_DATA, MOST_GENERATED, TextError};
pub use write::Writer;

/// Version of the format.
pub const VERSION: u64 = 1;

#[cfg(test)]
mod tests;
