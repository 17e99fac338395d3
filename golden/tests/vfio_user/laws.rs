//! Laws over any bytes.

use crate::rig::{Rig, alone, memfd};
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fd::AsFd as _;
use spec::layout::Bytes as _;
use vnic_golden::vfio_user::Hangup;
use vnic_golden::vfio_user::proto::{
    Command, DeviceInfo, DmaMap, DmaUnmap, HEADER, Header, IRQ_DATA_BOOL, IrqHead, IrqSet, RegionAccess, RegionHead,
    Request, Version, Writes,
};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..100)
}

/// Any request that a client may send, its data in the second part.
fn body() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fixed = |command: u16, size: usize| {
        (Just(command), vec(any::<u8>(), size)).prop_map(|(command, mut body)| {
            // No `argsz` too small.
            if !body.is_empty() {
                body[3] |= 1;
            }
            (command, body)
        })
    };
    prop_oneof![
        (any::<u32>(), bytes()).prop_map(|(version, data)| (1, [&version.to_le_bytes()[..], &data].concat())),
        fixed(2, DmaMap::SIZE),
        fixed(3, DmaUnmap::SIZE),
        fixed(4, DeviceInfo::SIZE),
        fixed(5, RegionHead::SIZE),
        fixed(7, IrqHead::SIZE),
        (vec(any::<u8>(), IrqSet::SIZE), bytes()).prop_map(|(head, data)| {
            let mut set = IrqSet::get(&head);
            set.set_argsz(set.argsz() | 1 << 20);
            let bools = set.flags() & IRQ_DATA_BOOL != 0;
            set.set_count(if bools { data.len() as u32 } else { set.count() });
            (8, [&set.0[..], if bools { &data } else { &[] }].concat())
        }),
        fixed(9, RegionAccess::SIZE),
        (any::<u64>(), any::<u32>(), bytes()).prop_map(|(offset, region, data)| {
            let mut access = RegionAccess::default();
            access.set_offset(offset);
            access.set_region(region);
            access.set_count(data.len() as u32);
            (10, [&access.0.to_le_bytes()[..], &data].concat())
        }),
        Just((13, Vec::new())),
        vec(vec(any::<u8>(), 24), 0..20)
            .prop_map(|writes| (15, [&(writes.len() as u64).to_le_bytes()[..], &writes.concat()].concat())),
    ]
}

proptest! {
    /// A request survives the wire.
    #[test]
    fn what_is_encoded_is_decoded((command, body) in body(), id: u16, no_reply: bool) {
        let command = Command::from(command);
        let request = Request::decode(command, &body).expect("well-formed");
        let message = request.message(id, no_reply);
        let header = Header::get(&message);
        prop_assert_eq!((header.id(), header.no_reply(), header.kind()), (id, no_reply, 0));
        prop_assert_eq!(header.size() as usize, message.len());
        prop_assert_eq!(Command::from(header.command()), command);
        prop_assert_eq!(&message[HEADER..], &body[..]);
        prop_assert_eq!(Request::decode(command, &message[HEADER..]), Ok(request));
    }

    /// Any body of any command is a request or a refusal with a number.
    #[test]
    fn any_bytes_are_a_request_or_a_refusal(command: u16, few in 0u16..20, body in vec(any::<u8>(), 0..200)) {
        for command in [command, few] {
            if let Err(malformed) = Request::decode(Command::from(command), &body) {
                prop_assert!(malformed.errno().raw_os_error() > 0);
                prop_assert!(!malformed.to_string().is_empty());
            }
            prop_assert_eq!(u16::from(Command::from(command)), command);
        }
    }

    /// A declared structure survives its bytes.
    #[test]
    fn structures_are_their_bytes(bytes in vec(any::<u8>(), 64)) {
        prop_assert_eq!(Version::get(&bytes).major(), u16::from_le_bytes([bytes[0], bytes[1]]));
        prop_assert_eq!(Writes::from(&bytes[..]).count(), 2);
        for write in Writes::from(&bytes[..]).iter() {
            let mut back = [0; 24];
            write.put(&mut back);
            prop_assert!(bytes.windows(24).any(|w| w == back));
        }
    }

    /// Any bytes in any pieces with any descriptors: served, refused or hung up on, and nothing stays open.
    #[test]
    fn any_stream_is_survived(pieces in vec((body(), any::<bool>(), 0usize..4, any::<u8>()), 0..12), greet: bool) {
        let alone = alone();
        let file = memfd(8192);
        let mut rig = Rig::silent();
        if greet {
            let version = Request::Version(Version::default(), b"");
            rig.peer.send_raw(&version.message(0, true), &[]).unwrap();
        }
        let mut over = None;
        for ((command, body), honest, fds, wrong) in pieces {
            let mut header = Header::default();
            header.set_command(command);
            header.set_size((HEADER + body.len()) as u32);
            let mut message = vec![0; HEADER];
            header.put(&mut message);
            message.extend_from_slice(&body);
            if !honest {
                let at = usize::from(wrong) % message.len();
                message[at] ^= wrong | 1;
            }
            if rig.peer.send_raw(&message, &vec![file.as_fd(); fds]).is_err() {
                break;
            }
            if let Err(hangup) = rig.turn() {
                over = Some(hangup);
                break;
            }
        }
        let gone = rig.device.count("gone");
        prop_assert_eq!(gone, usize::from(over.is_some()));
        prop_assert!(!matches!(over, Some(Hangup::Closed | Hangup::Midway)));
        drop((rig, file));
        alone.no_leak();
    }
}
