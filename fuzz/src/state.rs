//! Saved state: whatever is accepted encodes to the very bytes it came from.

use golden::serve::{DepartureV1, Handed};
use model::migrate::{Canon, Saved};
use spec::profile::Profile;

/// Bytes of a saved data plane, of a whole function, or of what travels with one.
pub fn saved_state(data: &[u8]) {
    let mut again = Vec::new();
    if let Ok((profile, canon)) = Canon::decode(data) {
        canon.encode(profile, &mut again);
        assert_eq!(again, data);
    }
    for profile in Profile::ALL {
        if let Ok(saved) = Saved::decode(profile, data) {
            saved.encode(profile, &mut again);
            assert_eq!(again, data);
        }
        if let Ok(Handed { outside, later, frames }) = Handed::decode(profile.id, data) {
            again.clear();
            Handed::encode(outside, later, &frames, profile.id, &mut again);
            assert_eq!(again, data);
        }
        if let Ok(departure) = DepartureV1::decode(profile.id, data) {
            again.clear();
            departure.encode(profile.id, &mut again);
            assert_eq!(again, data);
        }
    }
}
