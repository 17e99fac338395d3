//! What a served device offers: versions, queues, interrupts.

use crate::guest::{Guest, config};
use crate::rig::Running;
use model::guest::vmxnet3::{Breach, DriverConfig, Phase, Vectors};
use model::pci::{MSI_CAPABILITY, MSIX_CAPABILITY};
use spec::profile::{Offer, Profile};
use spec::vmxnet3::Interrupts;
use vnic_golden::serve::Kind;
use vnic_golden::vfio_user::{irq, region};

fn offering(change: impl FnOnce(&mut Offer)) -> &'static Profile {
    let mut offer = Profile::REFERENCE.offer();
    change(&mut offer);
    Profile::REFERENCE.offering(offer).expect("it can be offered")
}

#[test]
fn the_newest_version_offered_is_used_and_short_frames_come_by_the_data_ring() {
    for version in 1..=Offer::NEWEST {
        let running = Running::new(Kind::Software, offering(|offer| offer.version = version));
        let driver = DriverConfig { max_version: Offer::NEWEST, ..config().with_data_rings() };
        let mut guest = Guest::boot(&running, driver).up();
        assert_eq!(guest.driver.version(), version);
        assert_eq!(guest.driver.tx_data_bytes(), 128);
        for (id, len) in [(1, 60), (2, 128), (3, 129), (4, 1500)] {
            let id_of_ring = guest.echo(0, id, len).last.rq_id();
            assert_eq!(id_of_ring == 2, version >= 3 && len <= 128, "{len} bytes on version {version}");
        }
    }
}

#[test]
fn a_driver_takes_the_newest_version_that_is_offered_and_that_it_knows() {
    let running = Running::new(Kind::Switching, offering(|offer| offer.version = 9));
    for (known, taken) in [(1, 1), (3, 3), (4, 4), (6, 6), (7, 7), (9, 9)] {
        let driver = DriverConfig { max_version: known, ..config().with_data_rings() };
        let mut guest = Guest::boot(&running, driver).up();
        assert_eq!(guest.driver.version(), taken, "of a driver that knows {known}");
        guest.echo(0, u64::from(known), 700);
        let answer = running.order(r#"{"do":"switch","to":"hardware"}"#);
        assert!(answer.contains("\"ok\":true"), "{answer}");
        guest.echo(0, u64::from(known), 700);
        let answer = running.order(r#"{"do":"switch","to":"software"}"#);
        assert!(answer.contains("\"ok\":true"), "{answer}");
    }
}

#[test]
fn no_more_queues_are_taken_than_are_offered() {
    let running = Running::new(Kind::Software, offering(|offer| offer.queues = 2));
    let queues = |n| DriverConfig { tx_queues: n, rx_queues: n, ..config() };
    let refused = Guest::boot(&running, queues(3)).up();
    assert_eq!(refused.driver.phase(), Phase::Failed);
    assert_eq!(refused.driver.breaches(), [Breach::ActivateRefused { code: 1 }]);
    drop(refused);
    let mut guest = Guest::boot(&running, queues(2)).up();
    for queue in 0..2 {
        guest.echo(queue, queue.into(), 300);
    }
}

#[test]
fn without_a_message_a_guest_uses_the_line_and_never_enters_hardware() {
    let running = Running::new(Kind::Switching, offering(|offer| offer.interrupts = Interrupts::Line));
    let mut guest = Guest::boot(&running, DriverConfig { vectors: Vectors::Intx, ..config() });
    assert_eq!(guest.bus.client.irq_info(irq::MSIX).expect("an answer").count(), 0);
    let mut space = [0; 256];
    guest.bus.client.read(region::CONFIG, 0, &mut space).expect("configuration space");
    assert_eq!((space[6] & 0x10, space[0x34], space[MSIX_CAPABILITY]), (0, 0, 0), "no capability");
    guest = guest.up();
    guest.echo(0, 1, 700);
    let answer = running.order(r#"{"do":"switch","to":"hardware"}"#);
    assert!(answer.contains("\"ok\":false") && answer.contains("code 1") && answer.contains("INTx"), "{answer}");
    guest.echo(0, 2, 700);
}

#[test]
fn with_msi_alone_a_guest_has_one_message_and_never_enters_hardware() {
    let running = Running::new(Kind::Switching, offering(|offer| offer.interrupts = Interrupts::Msi));
    let guest = Guest::boot(&running, DriverConfig { vectors: Vectors::Msi, ..config() });
    let mut client = guest.bus.client;
    let counts = [irq::INTX, irq::MSI, irq::MSIX].map(|index| client.irq_info(index).expect("an answer").count());
    assert_eq!(counts, [1, 1, 0]);
    let mut space = [0; 256];
    client.read(region::CONFIG, 0, &mut space).expect("configuration space");
    assert_eq!((space[6] & 0x10, usize::from(space[0x34])), (0x10, MSI_CAPABILITY));
    assert_eq!(space[MSI_CAPABILITY..MSI_CAPABILITY + 4], [5, 0, 0x81, 0], "the only one, of one vector, enabled");
    drop(client);
    let mut guest = Guest::boot(&running, DriverConfig { vectors: Vectors::Msi, ..config() }).up();
    guest.echo(0, 1, 700);
    let answer = running.order(r#"{"do":"switch","to":"hardware"}"#);
    assert!(answer.contains("\"ok\":false") && answer.contains("code 9") && answer.contains("MSI"), "{answer}");
    guest.echo(0, 2, 700);
}

#[test]
fn a_guest_with_msi_x_may_take_msi_or_the_line_all_the_same() {
    let running = Running::new(Kind::Software, &Profile::REFERENCE);
    for (id, vectors) in [(1, Vectors::Msi), (2, Vectors::Intx), (3, Vectors::Buddy)] {
        let mut guest = Guest::boot(&running, DriverConfig { vectors, ..config() }).up();
        guest.echo(0, id, 700);
    }
}

#[test]
fn a_guest_with_data_rings_is_switched_and_goes_on() {
    let running = Running::new(Kind::Switching, offering(|offer| offer.version = 3));
    let mut guest = Guest::boot(&running, config().with_data_rings()).up();
    for round in 0..4 {
        for (side, ring) in [("hardware", 0), ("software", 2)] {
            let answer = running.order(&format!(r#"{{"do":"switch","to":"{side}"}}"#));
            assert!(answer.contains("\"ok\":true"), "{answer}");
            let by = guest.echo(0, round, 100).last.rq_id();
            assert_eq!(by, ring, "the adapter leaves the data ring alone, which it may");
            guest.echo(0, round + 10, 1400);
        }
    }
}
