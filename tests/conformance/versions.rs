//! The suite on a device whose newest version is 6: the last one that says in `om` alone that a packet is a tunnel.

use model::mutant::Planted;
use spec::profile::{Offer, Profile};
use vnic::case;

#[test]
fn every_claim_holds_on_small_rings_up_to_version_6() {
    let offer = Offer { version: 6, ..Profile::SMALL.offer() };
    let profile = Profile::SMALL.offering(offer).expect("an offer there is");
    assert_eq!(profile.versions, 0x3f);
    let outcome = case::run_all(profile, Planted::NONE);
    assert!(outcome.is_clean(), "{:#?}", outcome.failures);
}
