//! The signals that end a verb which runs until it is told to end.

use super::Trouble;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::unix::net::UnixStream;

/// Readable once one of them has come.
pub(super) fn stop() -> Result<UnixStream, Trouble> {
    let (stop, signalled) = UnixStream::pair().map_err(Trouble::serve)?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let end = signalled.try_clone().map_err(Trouble::serve)?;
        signal_hook::low_level::pipe::register(signal, end).map_err(Trouble::serve)?;
    }
    Ok(stop)
}
