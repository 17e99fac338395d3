//! The suite on devices of versions 4 to 6, which no newer offer shows.

use model::mutant::Planted;
use spec::profile::{Offer, Profile};
use vnic::case;

#[test]
fn every_claim_holds_at_versions_that_cannot_decline_tunnels_but_for_tunnels() {
    let offer = Offer { version: 6, ..Profile::SMALL.offer() };
    let profile = Profile::SMALL.offering(offer).expect("an offer there is");
    assert_eq!(profile.versions, 0x3f);
    let outcome = case::run_all(profile, Planted::NONE);
    assert!(outcome.is_clean(), "{:#?}", outcome.failures);
}
