//! Saved state: whatever is accepted encodes to the very bytes it came from.

use model::migrate::Canon;

/// Bytes of a saved data plane.
pub fn saved_state(data: &[u8]) {
    if let Ok((profile, canon)) = Canon::decode(data) {
        let mut again = Vec::new();
        canon.encode(profile, &mut again);
        assert_eq!(again, data);
    }
}
