//! No input breaks an invariant: fuzz targets as functions. Under cargo-fuzz each is a libFuzzer target; elsewhere its `main`
//! replays the files it is given, and a plain `cargo test` replays every kept corpus.
#![cfg_attr(not(fuzzing), forbid(unsafe_code))]

mod guests;
mod imports;
mod peer;
mod shrink;
mod state;

pub use guests::{adapter_ops, software_ops, switch_script};
pub use imports::{migration_stream, trace_text};
pub use peer::vfio_user;
pub use state::saved_state;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use libfuzzer_sys;

/// A target: it panics when an invariant breaks.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("adapter_ops", adapter_ops),
    ("migration_stream", migration_stream),
    ("saved_state", saved_state),
    ("software_ops", software_ops),
    ("switch_script", switch_script),
    ("trace_text", trace_text),
    ("vfio_user", vfio_user),
];

/// Makes a binary of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($crate::$name);
        }
    };
}

/// Runs `target` on each file named on the command line.
pub fn replay(target: Target) {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => {
                target(&bytes);
                println!("{}: {} bytes, holds", path.display(), bytes.len());
            }
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                std::process::exit(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_kept_input_holds() {
        for (name, target) in TARGETS {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let mut inputs = 0;
            for entry in std::fs::read_dir(&corpus).expect("a kept corpus") {
                let path = entry.expect("a readable folder").path();
                target(&std::fs::read(&path).expect("a readable input"));
                inputs += 1;
            }
            assert!(inputs > 0, "{} is empty", corpus.display());
        }
    }
}
