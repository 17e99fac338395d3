//! A guest that boots from the responder.

use crate::frames::{OUR_IP, OURS, THEIR_IP, arp, datagram, drain, folder, pattern, received};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Address};
use vnic_golden::serve::wire::Wire;
use vnic_golden::serve::wire::responder::tftp::File;
use vnic_golden::serve::wire::responder::{Responder, ResponderSpec, dhcp};

#[test]
fn a_guest_boots_by_dhcp_and_tftp() {
    let path = folder("tftp").join("boot.pxe");
    for length in [0, 1431, 1432, 300_000] {
        let content = pattern(length);
        std::fs::write(&path, &content).unwrap();
        let spec = ResponderSpec { tftp: Some(path.clone()), ..Default::default() };
        let given = dhcp::given_address(&spec);
        assert_eq!(given, OUR_IP);
        let mut wire = Responder::open(spec).unwrap();
        let offer = dhcp_exchange(&mut wire, DhcpMessageType::Discover, None);
        assert_eq!(offer, (DhcpMessageType::Offer, given, THEIR_IP, Some(b"boot.pxe".to_vec())));
        let refused = dhcp_exchange(&mut wire, DhcpMessageType::Request, Some(Ipv4Address::new(10, 0, 2, 99)));
        assert_eq!(refused.0, DhcpMessageType::Nak);
        let leased = dhcp_exchange(&mut wire, DhcpMessageType::Request, Some(given));
        assert_eq!(leased, (DhcpMessageType::Ack, given, THEIR_IP, Some(b"boot.pxe".to_vec())));
        assert_eq!(tftp(wire, b"\0\x01boot.pxe\0octet\0blksize\x001432\0tsize\x000\0", 1432), Ok(content.clone()));
    }
    let wire = || {
        let spec = ResponderSpec { tftp: Some(path.clone()), ..Default::default() };
        Responder::open(spec).unwrap()
    };
    assert_eq!(tftp(wire(), b"\0\x01/boot.pxe\0octet\0", 512).map(|bytes| bytes.len()), Ok(300_000));
    assert_eq!(tftp(wire(), b"\0\x01etc/passwd\0octet\0", 512), Err(1));
    assert_eq!(tftp(wire(), b"\0\x02boot.pxe\0octet\0", 512), Err(2));
    assert_eq!(tftp(wire(), b"\0\x01boot.pxe\0netascii\0", 512), Err(4));
    assert_eq!(
        File::read(&path.with_extension("none")).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::NotFound)
    );
}

/// What a DHCP server said: kind, address given, next server, file.
fn dhcp_exchange(
    wire: &mut Responder,
    kind: DhcpMessageType,
    asked: Option<Ipv4Address>,
) -> (DhcpMessageType, Ipv4Address, Ipv4Address, Option<Vec<u8>>) {
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: 0x1234,
        secs: 0,
        client_hardware_address: EthernetAddress(OURS),
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: true,
        requested_ip: asked,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut message)).unwrap();
    let mut frame = datagram((Ipv4Address::UNSPECIFIED, 68), (Ipv4Address::BROADCAST, 67), &message);
    frame[..6].fill(0xff);
    assert!(wire.send(&frame));
    let answers = drain(wire);
    let answer = answers.iter().find_map(|frame| received(frame, 67)).unwrap();
    assert!(answer.len() >= 300);
    let packet = DhcpPacket::new_checked(answer).unwrap();
    let told = DhcpRepr::parse(&packet).unwrap();
    assert_eq!((told.transaction_id, told.client_hardware_address), (0x1234, EthernetAddress(OURS)));
    let file = packet.options().find(|option| option.kind == 67).map(|option| option.data.to_vec());
    (told.message_type, told.your_ip, told.server_ip, file)
}

/// Fetches a file as a client does; every third block is asked for twice.
fn tftp(mut wire: Responder, request: &[u8], block_size: usize) -> Result<Vec<u8>, u8> {
    assert!(wire.send(&arp(OUR_IP, THEIR_IP)));
    drain(&mut wire);
    assert!(wire.send(&datagram((OUR_IP, 900), (THEIR_IP, 69), request)));
    let mut content = Vec::new();
    let mut next = 1_u16;
    loop {
        let frames = drain(&mut wire);
        let frame = frames.iter().find(|frame| frame[23] == 17).expect("an answer");
        let port = u16::from_be_bytes([frame[34], frame[35]]);
        let message = received(frame, port).unwrap();
        let number = match message {
            [0, 5, 0, code, ..] => return Err(*code),
            [0, 6, options @ ..] => {
                assert!(options.starts_with(b"blksize\x001432\0tsize\0"));
                0
            }
            [0, 3, high, low, data @ ..] => {
                assert_eq!(u16::from_be_bytes([*high, *low]), next);
                content.extend_from_slice(data);
                next += 1;
                next - 1
            }
            other => panic!("{other:?}"),
        };
        let last = message[1] == 3 && message.len() < 4 + block_size;
        let [high, low] = number.to_be_bytes();
        let acknowledged = datagram((OUR_IP, 900), (THEIR_IP, port), &[0, 4, high, low]);
        assert!(wire.send(&acknowledged));
        if last {
            assert!(drain(&mut wire).is_empty());
            return Ok(content);
        }
        if number % 3 == 2 {
            let stale = datagram((OUR_IP, 900), (THEIR_IP, port), &[0, 4, 0, 200]);
            assert!(wire.send(&stale));
        }
    }
}
