//! The migration messages themselves: which steps are legal, which data is refused, what a reset does.

use crate::rig::{Guest, PATIENCE, folder, host};
use spec::profile::Profile;
use vnic_golden::serve::wire::Wire;
use vnic_golden::serve::wire::stream::Stream;
use vnic_golden::serve::{DepartureV1, Handed, Kind, announces, marks};
use vnic_golden::vfio_user::caps::Capabilities;
use vnic_golden::vfio_user::proto::{Command, MIGRATION_STOP_COPY};
use vnic_golden::vfio_user::{Client, ClientError, Errno, Migration, region};

fn client(folder: &std::path::Path, name: &str) -> Client {
    let begun = std::time::Instant::now();
    loop {
        // A peer that has just left may still be served.
        let mut client = Client::connect(&folder.join(name)).unwrap();
        match client.version(&Capabilities { max_msg_fds: 16, ..Capabilities::default() }) {
            Ok(_) => return client,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>, command: Command, errno: Errno) {
    assert_eq!(result.unwrap_err(), ClientError::Refused { command, errno });
}

/// A state as a reader takes it who knows nothing of its parts.
fn read_all(client: &mut Client) -> Vec<u8> {
    client.migrate(Migration::StopCopy).unwrap();
    let mut state = Vec::new();
    loop {
        let part = client.read_state(1 << 16).unwrap();
        state.extend_from_slice(&part);
        if part.len() < 1 << 16 {
            return state;
        }
    }
}

#[test]
fn every_state_is_reached_from_every_other_and_a_reset_moves_none() {
    let folder = folder("states");
    let _host = host(&folder, "a", Kind::Switching, None);
    let mut client = client(&folder, "a");
    assert_eq!(client.migration_flags(), Ok(MIGRATION_STOP_COPY));
    for &(_, from) in Migration::TABLE {
        for &(_, to) in Migration::TABLE {
            client.migrate(from).unwrap();
            assert_eq!(client.migration(), Ok(from));
            client.reset().unwrap();
            assert_eq!(client.migration(), Ok(from));
            client.migrate(to).unwrap();
            assert_eq!(client.migration(), Ok(to));
        }
    }
    client.migrate(Migration::Stop).unwrap();
    refused(client.read_state(16), Command::MigDataRead, Errno::INVAL);
    refused(client.write_state(&[1]), Command::MigDataWrite, Errno::INVAL);
    refused(client.write(1, 0x20, &[0; 4]), Command::RegionWrite, Errno::BUSY);
    refused(client.read(1, 0x20, &mut [0; 4]), Command::RegionRead, Errno::BUSY);
    client.read(region::CONFIG, 0, &mut [0; 4]).unwrap();
    client.migrate(Migration::Running).unwrap();
    client.write(1, 0x20, &[0; 4]).unwrap();
}

#[test]
fn a_plain_reader_and_a_plain_writer_move_a_device_and_saving_it_again_gives_the_same_bytes() {
    let folder = folder("plain");
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Software, None)];
    {
        let _guest = Guest::boot(&folder.join("a"));
    }
    let (mut a, mut b) = (client(&folder, "a"), client(&folder, "b"));
    // Some state that is not the one after a reset.
    a.write(region::CONFIG, 4, &[6, 0]).unwrap();
    a.write(1, 0x10, &0x1234_u32.to_le_bytes()).unwrap();
    a.write(0, 8, &0_u32.to_le_bytes()).unwrap();
    let state = read_all(&mut a);
    b.migrate(Migration::Resuming).unwrap();
    for byte in state.chunks(7) {
        b.write_state(byte).unwrap();
    }
    b.migrate(Migration::Running).unwrap();
    let again = read_all(&mut b);
    assert_eq!(first(&state), first(&again));
    b.migrate(Migration::Running).unwrap();
    let mut command = [0; 2];
    b.read(region::CONFIG, 4, &mut command).unwrap();
    assert_eq!(command, [6, 0]);
}

/// Bytes of the container of a departure, which differs each time.
const DEPARTURE: usize = 52;

/// The second of the three containers: the state.
fn first(state: &[u8]) -> &[u8] {
    let state = &state[DEPARTURE..];
    &state[..u64::from_le_bytes(state[16..24].try_into().unwrap()) as usize]
}

#[test]
fn data_that_makes_no_sense_is_refused_whole_and_the_device_is_as_before() {
    let folder = folder("bad");
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Switching, None)];
    let (mut a, mut b) = (client(&folder, "a"), client(&folder, "b"));
    a.write(region::CONFIG, 4, &[6, 0]).unwrap();
    let good = read_all(&mut a);
    let before = read_all(&mut b);
    b.migrate(Migration::Running).unwrap();
    let whole = DEPARTURE + first(&good).len();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        bytes
    };
    let mut bad = vec![good[..good.len() - 1].to_vec(), good[..whole].to_vec(), [&good[..], &[0]].concat()];
    // The departure: magic, profile, length, the guest's address, a reserved bit.
    bad.extend([0, 10, 18, 36, 43].map(flipped));
    // The state: magic, profile, length, a flag of the plane, the vendor.
    bad.extend([0, 10, 18, 24 + 12 + 44, 24 + 12 + 80 + 12].map(|at| flipped(DEPARTURE + at)));
    // What was handed over: magic, a reserved bit.
    bad.extend([0, 24 + 12 + 5].map(|at| flipped(whole + at)));
    bad.push(vec![0xff; 4 << 20]);
    for (i, bytes) in bad.iter().enumerate() {
        b.migrate(Migration::Resuming).unwrap();
        let written = bytes.chunks(1 << 20).try_for_each(|part| b.write_state(part));
        refused(b.migrate(Migration::Running), Command::DeviceFeature, Errno::INVAL);
        assert!(
            written.is_ok()
                || written == Err(ClientError::Refused { command: Command::MigDataWrite, errno: Errno::INVAL })
        );
        assert_eq!(b.migration(), Ok(Migration::Resuming), "{i}");
        b.migrate(Migration::Running).unwrap();
        assert_eq!(first(&read_all(&mut b)), first(&before), "{i}");
        b.migrate(Migration::Running).unwrap();
    }
    b.migrate(Migration::Resuming).unwrap();
    b.write_state(&good).unwrap();
    b.migrate(Migration::Running).unwrap();
    assert_eq!(first(&read_all(&mut b)), first(&good));
}

#[test]
fn a_reader_that_waits_for_the_rest_is_answered_in_time_without_a_fabric() {
    let folder = folder("late");
    let _host = host(&folder, "a", Kind::Switching, None);
    let mut a = client(&folder, "a");
    a.migrate(Migration::StopCopy).unwrap();
    a.read_state(DEPARTURE as u32).unwrap();
    let header = a.read_state(24).unwrap();
    let length = u64::from_le_bytes(header[16..24].try_into().unwrap());
    assert_eq!(a.read_state(length as u32 - 24).unwrap().len() as u64, length - 24);
    let begun = std::time::Instant::now();
    let rest = a.read_state(24).unwrap();
    assert!(begun.elapsed() > std::time::Duration::from_millis(400), "it waited for an announcement");
    assert_eq!(rest.len(), 24);
    // A peer that goes away while it waits is no trouble to the next.
    a.migrate(Migration::Running).unwrap();
    a.migrate(Migration::StopCopy).unwrap();
    a.read_state(DEPARTURE as u32 + length as u32).unwrap();
    a.post(&vnic_golden::vfio_user::proto::Request::MigDataRead({
        let mut data = vnic_golden::vfio_user::proto::MigData::default();
        data.set_argsz(32);
        data.set_size(24);
        data
    }))
    .unwrap();
    drop(a);
    let mut next = client(&folder, "a");
    assert_eq!(next.migration(), Ok(Migration::Running));
}

/// The next frame that comes out of a wire whose other end a host has.
fn next_frame(wire: &mut Stream) -> Vec<u8> {
    let (begun, mut frame) = (std::time::Instant::now(), Vec::new());
    while !wire.receive(&mut frame) {
        assert!(begun.elapsed() < PATIENCE, "nothing comes");
        std::thread::yield_now();
    }
    frame
}

#[test]
fn a_destination_announces_the_guest_behind_the_marker_and_the_source_is_done_behind_the_announcement() {
    let folder = folder("order");
    let [mut at_a, mut at_b] = ["a", "b"].map(|name| Stream::listen(&folder.join(format!("fabric-{name}"))).unwrap());
    let _hosts = [host(&folder, "a", Kind::Switching, None), host(&folder, "b", Kind::Switching, None)];
    let (mut a, mut b) = (client(&folder, "a"), client(&folder, "b"));
    a.migrate(Migration::StopCopy).unwrap();
    let marker = next_frame(&mut at_a);
    let departure = marks(&marker).expect("the source marks the end of what it sends");
    let mut state = a.read_state(DEPARTURE as u32).unwrap();
    let header = a.read_state(24).unwrap();
    let length = u64::from_le_bytes(header[16..24].try_into().unwrap()) as u32;
    state.extend(header);
    state.extend(a.read_state(length - 24).unwrap());
    let mac: [u8; 6] = departure.mac().to_le_bytes()[..6].try_into().unwrap();
    // Another departure's marker is none of this one's.
    b.migrate(Migration::Resuming).unwrap();
    assert!(at_b.send(&vnic_golden::serve::marker(DepartureV1::of(mac, departure.nonce() ^ 1))));
    b.write_state(&state).unwrap();
    assert!(!at_b.receive(&mut Vec::new()), "announced before the source's last frame is known to have passed");
    assert!(at_b.send(&marker));
    let announcement = next_frame(&mut at_b);
    assert!(announces(&announcement, mac));
    // Two frames reach the source before the announcement, one behind it.
    for frame in [[1; 60], [5; 60]] {
        assert!(at_a.send(&frame));
    }
    assert!(at_a.send(&announcement) && at_a.send(&[3; 60]));
    let header = a.read_state(24).unwrap();
    let length = u64::from_le_bytes(header[16..24].try_into().unwrap()) as u32;
    let rest = [header, a.read_state(length - 24).unwrap()].concat();
    let handed = Handed::decode(Profile::REFERENCE.id, &rest).unwrap();
    let frames: Vec<&[u8]> = handed.frames.iter().collect();
    assert_eq!((handed.outside.barrier(), frames), (true, vec![&[1; 60][..], &[5; 60]]));
    b.write_state(&rest).unwrap();
    b.migrate(Migration::Running).unwrap();
}
