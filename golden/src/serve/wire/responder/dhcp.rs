//! A DHCP server with one address to give, and the name of the file to boot.
//!
//! The address is the 13th after ours (10.0.2.15 for 10.0.2.2), or where the subnet is too small the next or the one before.
//! Answers are broadcast. Source: RFC 2131, RFC 2132.

use super::udp::UdpPort;
use super::{ResponderSpec, tftp};
use smoltcp::iface::SocketSet;
use smoltcp::time::Instant;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, IpEndpoint, Ipv4Address, Ipv4Cidr};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Seconds that the address is given for.
const LEASE: u32 = 86_400;

/// Shortest message that old clients take. Source: RFC 1542, section 2.1.
const SHORTEST: usize = 300;

/// DHCP options that name the TFTP server and the file. Source: RFC 2132, sections 9.4 and 9.5.
const SERVER_NAME: u8 = 66;
const FILE_NAME: u8 = 67;

pub(super) struct Dhcp {
    port: UdpPort,
    ours: Ipv4Cidr,
    given: Ipv4Address,
    server_name: String,
    file: Option<Arc<tftp::File>>,
}

/// The address that a host asking `spec`'s DHCP server is given.
pub fn given_address(spec: &ResponderSpec) -> Ipv4Addr {
    let ours = u32::from(spec.ip4);
    let hosts = u32::MAX >> spec.prefix.min(30);
    let host = ours & hosts;
    let fits = |host: &u32| (1..hosts).contains(host);
    let chosen = [host.saturating_add(13), host.saturating_add(1), host.saturating_sub(1)].into_iter().find(fits);
    Ipv4Addr::from(ours & !hosts | chosen.unwrap_or(host))
}

impl Dhcp {
    pub(super) fn new(spec: &ResponderSpec, file: Option<Arc<tftp::File>>, port: UdpPort) -> Self {
        let ours = Ipv4Cidr::new(spec.ip4, spec.prefix);
        Self { port, ours, given: given_address(spec), server_name: spec.ip4.to_string(), file }
    }

    pub(super) fn serve(&mut self, now: Instant, sockets: &mut SocketSet<'static>) {
        let socket = self.port.open(now, sockets);
        while let Ok((payload, _)) = socket.recv() {
            let Ok(packet) = DhcpPacket::new_checked(payload) else { continue };
            let Ok(asked) = DhcpRepr::parse(&packet) else { continue };
            let Some(kind) = self.verdict(&asked) else { continue };
            let boot = self.file.as_ref().map(|file| {
                [
                    DhcpOption { kind: SERVER_NAME, data: self.server_name.as_bytes() },
                    DhcpOption { kind: FILE_NAME, data: file.name().as_bytes() },
                ]
            });
            let repr = self.reply(kind, &asked, boot.as_ref().map_or(&[], <[_; 2]>::as_slice));
            let to = IpEndpoint::new(Ipv4Address::BROADCAST.into(), 68);
            let Ok(room) = socket.send(repr.buffer_len().max(SHORTEST), to) else { break };
            room.fill(0);
            let written = repr.emit(&mut DhcpPacket::new_unchecked(room));
            debug_assert!(written.is_ok(), "the buffer is as long as the message");
        }
        self.port.done(sockets);
    }

    /// What to answer; `None`: the message is not for us.
    fn verdict(&self, asked: &DhcpRepr<'_>) -> Option<DhcpMessageType> {
        if asked.server_identifier.is_some_and(|server| server != self.ours.address()) {
            return None;
        }
        match asked.message_type {
            DhcpMessageType::Discover => Some(DhcpMessageType::Offer),
            DhcpMessageType::Request => {
                let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
                Some(if wanted == self.given { DhcpMessageType::Ack } else { DhcpMessageType::Nak })
            }
            DhcpMessageType::Inform => Some(DhcpMessageType::Ack),
            _ => None,
        }
    }

    fn reply<'a>(&self, kind: DhcpMessageType, asked: &DhcpRepr<'_>, boot: &'a [DhcpOption<'a>]) -> DhcpRepr<'a> {
        let ours = self.ours.address();
        let agreed = kind != DhcpMessageType::Nak;
        let gives = agreed && asked.message_type != DhcpMessageType::Inform;
        DhcpRepr {
            message_type: kind,
            transaction_id: asked.transaction_id,
            secs: 0,
            client_hardware_address: asked.client_hardware_address,
            client_ip: if agreed { asked.client_ip } else { Ipv4Address::UNSPECIFIED },
            your_ip: if gives { self.given } else { Ipv4Address::UNSPECIFIED },
            server_ip: if agreed { ours } else { Ipv4Address::UNSPECIFIED },
            router: agreed.then_some(ours),
            subnet_mask: agreed.then(|| self.ours.netmask()),
            relay_agent_ip: asked.relay_agent_ip,
            broadcast: asked.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(ours),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: gives.then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: if agreed { boot } else { &[] },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_given_is_another_host_of_the_subnet() {
        for (ours, prefix, given) in [
            ([10, 0, 2, 2], 24, [10, 0, 2, 15]),
            ([10, 0, 2, 250], 24, [10, 0, 2, 251]),
            ([10, 0, 2, 254], 24, [10, 0, 2, 253]),
            ([10, 0, 2, 1], 30, [10, 0, 2, 2]),
            ([10, 0, 2, 2], 30, [10, 0, 2, 1]),
        ] {
            let spec = ResponderSpec { ip4: ours.into(), prefix, ..Default::default() };
            assert_eq!(given_address(&spec), Ipv4Addr::from(given));
        }
    }
}
