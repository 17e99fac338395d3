//! The text that names a wire, as a user writes it.
//!
//! | text | back end |
//! |---|---|
//! | `none` | no cable |
//! | `responder[:IP4/LEN[,MAC][,mtu=N][,tftp=FILE]]` | a host in this process |
//! | `dgram:LOCAL,REMOTE` | UNIX datagrams: our path, the other side's |
//! | `stream:PATH` | a UNIX stream to a listener |
//! | `stream-listen:PATH` | a UNIX stream, listening |
//! | `switch:NAME[,UPLINK]` | a soft switch; `UPLINK` is any of the others but `none` and `switch` |
//! | `tap:NAME` | a TAP interface |
//!
//! Any of them may end in `+pcapng:FILE`: everything that passes is captured there. A path can hold no comma before its end.

use super::responder::ResponderSpec;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest path of a UNIX socket, in bytes. Source: Linux, `sun_path` of `struct sockaddr_un` less its terminating zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Longest name of an interface or a switch, in bytes. Source: Linux, `IFNAMSIZ` less its terminating zero.
pub const MAX_NAME: usize = 15;

const CAPTURE: &str = "+pcapng:";

/// A back end and whether it is captured. Parsed by `FromStr`; `Display` writes what parses to the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireSpec {
    /// The back end.
    pub back: Back,
    /// Where to capture what passes.
    pub pcapng: Option<PathBuf>,
}

/// What is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// No cable.
    None,
    /// A host in this process.
    Responder(ResponderSpec),
    /// UNIX datagrams.
    Dgram {
        /// Our path.
        local: PathBuf,
        /// The other side's path.
        remote: PathBuf,
    },
    /// A UNIX stream that connects to this path.
    Stream(PathBuf),
    /// A UNIX stream that listens at this path.
    StreamListen(PathBuf),
    /// A port of a soft switch of this process.
    Switch {
        /// Devices that give the same name meet.
        name: String,
        /// What joins the switch to the world; the first device that names one attaches it.
        uplink: Option<Box<Back>>,
    },
    /// A TAP interface of this name.
    Tap(String),
}

/// Why a text names no wire: which part, what it says, what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wire: {part} \"{found}\" {rule}")]
pub struct SpecError {
    /// The part, as the grammar calls it.
    pub part: &'static str,
    /// What it says.
    pub found: String,
    /// What it must be.
    pub rule: SpecRule,
}

/// What a part of the text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecRule {
    /// The first word names no back end.
    #[error("is none of none, responder, dgram, stream, stream-listen, switch, tap")]
    Kind,
    /// Something stands where nothing can.
    #[error("does not belong here")]
    Extra,
    /// Nothing stands where something must.
    #[error("is missing")]
    Missing,
    /// An IPv4 address with a prefix length.
    #[error("is not a host's IPv4 address with a prefix length from 1 to 30, such as 10.0.2.2/24")]
    Ip4,
    /// A hardware address.
    #[error("is not a unicast MAC address, such as 02:00:00:00:00:01")]
    Mac,
    /// A size of IP packets.
    #[error("is not a number of bytes from 1280 to 65535")]
    Mtu,
    /// A path of a UNIX socket.
    #[error("is longer than the 107 bytes of a UNIX socket's path")]
    SocketPath,
    /// A name.
    #[error("is not a name of 1 to 15 letters, digits, '-', '_' or '.'")]
    Name,
    /// What cannot be an uplink.
    #[error("cannot be the uplink of a switch")]
    Uplink,
}

impl SpecRule {
    fn of(self, part: &'static str, found: &str) -> SpecError {
        SpecError { part, found: found.to_owned(), rule: self }
    }
}

impl FromStr for WireSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (back, pcapng) = match text.rsplit_once(CAPTURE) {
            Some((_, "")) => return Err(SpecRule::Missing.of("capture file", "")),
            Some((back, file)) => (back, Some(PathBuf::from(file))),
            None => (text, None),
        };
        Ok(Self { back: back.parse()?, pcapng })
    }
}

impl FromStr for Back {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let needed = |part| rest.filter(|rest| !rest.is_empty()).ok_or_else(|| SpecRule::Missing.of(part, ""));
        match kind {
            "none" => match rest {
                None => Ok(Self::None),
                Some(rest) => Err(SpecRule::Extra.of("text after none", rest)),
            },
            "responder" => rest.map_or_else(|| Ok(ResponderSpec::default()), responder).map(Self::Responder),
            "dgram" => {
                let paths = needed("local path")?;
                let (local, remote) = paths.split_once(',').ok_or_else(|| SpecRule::Missing.of("remote path", ""))?;
                Ok(Self::Dgram {
                    local: socket_path("local path", local)?,
                    remote: socket_path("remote path", remote)?,
                })
            }
            "stream" => Ok(Self::Stream(socket_path("path", needed("path")?)?)),
            "stream-listen" => Ok(Self::StreamListen(socket_path("path", needed("path")?)?)),
            "switch" => {
                let rest = needed("switch name")?;
                let (name, uplink) = rest.split_once(',').map_or((rest, None), |(name, up)| (name, Some(up)));
                let uplink = match uplink.map(Self::from_str).transpose()? {
                    Some(Self::None | Self::Switch { .. }) => {
                        return Err(SpecRule::Uplink.of("uplink", uplink.unwrap_or_default()));
                    }
                    back => back.map(Box::new),
                };
                Ok(Self::Switch { name: checked_name("switch name", name)?, uplink })
            }
            "tap" => Ok(Self::Tap(checked_name("interface name", needed("interface name")?)?)),
            _ => Err(SpecRule::Kind.of("kind", kind)),
        }
    }
}

fn socket_path(part: &'static str, text: &str) -> Result<PathBuf, SpecError> {
    match text.len() {
        0 => Err(SpecRule::Missing.of(part, text)),
        1..=MAX_SOCKET_PATH => Ok(PathBuf::from(text)),
        _ => Err(SpecRule::SocketPath.of(part, text)),
    }
}

fn checked_name(part: &'static str, text: &str) -> Result<String, SpecError> {
    let fits = (1..=MAX_NAME).contains(&text.len());
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits && plain { Ok(text.to_owned()) } else { Err(SpecRule::Name.of(part, text)) }
}

fn responder(text: &str) -> Result<ResponderSpec, SpecError> {
    let mut spec = ResponderSpec::default();
    for (place, part) in text.split(',').enumerate() {
        match (place, part.split_once('=')) {
            (0, _) => (spec.ip4, spec.prefix) = ip4(part)?,
            (_, Some(("mtu", number))) => {
                spec.mtu =
                    number.parse().ok().filter(|mtu| *mtu >= 1280).ok_or_else(|| SpecRule::Mtu.of("mtu", number))?;
            }
            (_, Some(("tftp", ""))) => return Err(SpecRule::Missing.of("tftp file", "")),
            (_, Some(("tftp", file))) => spec.tftp = Some(PathBuf::from(file)),
            (1, None) => spec.mac = mac(part)?,
            _ => return Err(SpecRule::Extra.of("option of responder", part)),
        }
    }
    Ok(spec)
}

fn ip4(text: &str) -> Result<(Ipv4Addr, u8), SpecError> {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let (address, prefix): (Ipv4Addr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
        let host = u32::from(address) & (u32::MAX >> u32::from(prefix.min(31)));
        let names_a_host = host != 0 && host != u32::MAX >> u32::from(prefix.min(31));
        let usable = !address.is_multicast() && !address.is_loopback() && address.octets()[0] != 0;
        ((1..=30).contains(&prefix) && names_a_host && usable).then_some((address, prefix))
    });
    parsed.ok_or_else(|| SpecRule::Ip4.of("address", text))
}

fn mac(text: &str) -> Result<[u8; 6], SpecError> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    let parsed = mac.iter_mut().all(|byte| {
        let value = parts
            .next()
            .filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|part| u8::from_str_radix(part, 16).ok());
        *byte = value.unwrap_or_default();
        value.is_some()
    });
    if parsed && parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6] {
        Ok(mac)
    } else {
        Err(SpecRule::Mac.of("MAC", text))
    }
}

impl fmt::Display for WireSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.back)?;
        self.pcapng.as_deref().map_or(Ok(()), |file: &Path| write!(f, "{CAPTURE}{}", file.display()))
    }
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::Responder(spec) => {
                let [a, b, c, d, e, g] = spec.mac;
                write!(f, "responder:{}/{}", spec.ip4, spec.prefix)?;
                write!(f, ",{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x},mtu={}", spec.mtu)?;
                spec.tftp.as_deref().map_or(Ok(()), |file| write!(f, ",tftp={}", file.display()))
            }
            Self::Dgram { local, remote } => write!(f, "dgram:{},{}", local.display(), remote.display()),
            Self::Stream(path) => write!(f, "stream:{}", path.display()),
            Self::StreamListen(path) => write!(f, "stream-listen:{}", path.display()),
            Self::Switch { name, uplink: None } => write!(f, "switch:{name}"),
            Self::Switch { name, uplink: Some(uplink) } => write!(f, "switch:{name},{uplink}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_parses_to_the_same() {
        for text in [
            "none",
            "responder",
            "responder:192.168.7.1/16",
            "responder:192.168.7.1/16,02:00:00:00:00:09,mtu=1500,tftp=/a/b.pxe",
            "responder:10.0.2.2/24,mtu=1500",
            "dgram:/run/a,/run/b+pcapng:/tmp/x.pcapng",
            "stream:/run/s",
            "stream-listen:/run/s",
            "switch:lan",
            "switch:lan,dgram:/run/a,/run/b",
            "tap:vnic0",
        ] {
            let spec: WireSpec = text.parse().unwrap();
            assert_eq!(spec.to_string().parse::<WireSpec>().unwrap(), spec, "{text}");
        }
    }

    #[test]
    fn a_wrong_part_is_named() {
        for (text, error) in [
            ("", "kind \"\" is none of none, responder, dgram, stream, stream-listen, switch, tap"),
            ("none:x", "text after none \"x\" does not belong here"),
            ("responder:", "address \"\" is not a host's IPv4 address"),
            ("responder:10.0.2.0/24", "address \"10.0.2.0/24\" is not a host's IPv4 address"),
            ("responder:10.0.2.255/24", "address \"10.0.2.255/24\" is not a host's IPv4 address"),
            ("responder:10.0.2.2/31", "address \"10.0.2.2/31\" is not a host's IPv4 address"),
            ("responder:224.0.2.2/24", "address \"224.0.2.2/24\" is not a host's IPv4 address"),
            ("responder:10.0.2.2/24,03:00:00:00:00:01", "MAC \"03:00:00:00:00:01\" is not a unicast MAC"),
            ("responder:10.0.2.2/24,02:00:00:00:00:+1", "MAC \"02:00:00:00:00:+1\" is not a unicast MAC"),
            ("responder:10.0.2.2/24,mtu=60", "mtu \"60\" is not a number of bytes from 1280"),
            ("responder:10.0.2.2/24,mtu=70000", "mtu \"70000\" is not a number of bytes from 1280"),
            ("responder:10.0.2.2/24,x=1", "option of responder \"x=1\" does not belong here"),
            ("dgram", "local path \"\" is missing"),
            ("dgram:/a", "remote path \"\" is missing"),
            ("stream:", "path \"\" is missing"),
            ("switch:a b", "switch name \"a b\" is not a name"),
            ("switch:a,switch:b", "uplink \"switch:b\" cannot be the uplink"),
            ("tap:sixteen-letters-", "interface name \"sixteen-letters-\" is not a name"),
            ("none+pcapng:", "capture file \"\" is missing"),
        ] {
            let found = text.parse::<WireSpec>().unwrap_err().to_string();
            assert!(found.starts_with(&format!("wire: {error}")), "{text}: {found}");
        }
        assert!(format!("stream:/{}", "x".repeat(107)).parse::<WireSpec>().unwrap_err().rule == SpecRule::SocketPath);
    }
}
