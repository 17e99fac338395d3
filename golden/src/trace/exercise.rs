//! Any bytes at all: what the reader accepts survives everything that is done with traces.

use super::{parse, replay, walk};
use crate::dump::Recording;
use crate::lint;

/// Does with `bytes` all that is done with a trace, for fuzzers and property tests.
///
/// # Panics
/// When a trace that was read is not written as it was.
pub fn exercise(bytes: &[u8]) {
    let Ok(trace) = parse(bytes) else { return };
    let text = trace.print();
    let again = parse(&text).map(|again| again.print());
    assert_eq!(again.as_deref(), Ok(&text[..]), "a trace is not written as it was read");
    let _ = walk(&trace, (), |_, _| {});
    let _ = replay(&trace).map(|replayed| replayed.violations());
    let recording = Recording { file: "exercise".into(), trace };
    let _ = lint::recording::judge(&recording);
    let _ = crate::show::recording(&recording);
}
