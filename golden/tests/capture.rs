//! The committed recording, read as a whole.

use vnic_golden::import::{Capture, Region};
use std::path::Path;

fn main_capture() -> Capture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dumps/linux-6.1-vmxnet3-qemu-11.1");
    Capture::open(&folder).unwrap_or_else(|error| panic!("{error}"))
}
#[test]
fn p() { let c = main_capture(); let mut s=c.stream.clone(); s.tree=vnic_golden::import::qemu_stream::Node{name:String::new(),kind:String::new(),offset:0,bytes:0,value:vnic_golden::import::qemu_stream::Value::Uint(0)}; s.txq_descr.truncate(1); s.rxq_descr.truncate(1); s.config.truncate(16);
 println!("{s:#?}"); println!("{:?}", c.dumps); println!("{} {:?}", c.frames.unwrap().len(), c.trace.map(|t|(t.accesses.len(),t.elsewhere,t.other_events, t.accesses[0], Region::Bar0))); println!("{:?}", c.lspci); }
