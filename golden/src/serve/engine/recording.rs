//! Recordings of a served device: begun before its first peer, or in the middle of its work.

use super::{Engine, Kind};
use crate::trace::{Call, Device, Header, Looks, Writer};
use model::machine::Mode;
use std::fs::File;
use std::time::Instant;

impl<M: Looks> Engine<M> {
    /// Records every call from now on, or ends the recording.
    ///
    /// # Errors
    /// When the recording that ends could not be written whole.
    pub fn record(&mut self, to: Option<(File, &Header)>) -> std::io::Result<()> {
        let ended = self.recorder.take().map(Writer::finish);
        self.recorder = to.map(|(file, header)| Writer::new(file, header));
        ended.transpose().map(|_| ())
    }

    /// Records every call from now on in a new file.
    ///
    /// # Errors
    /// When the file exists or cannot be made, or the recording that ends could not be written whole.
    pub fn record_to(&mut self, path: &std::path::Path) -> std::io::Result<()> {
        let file = File::options().write(true).create_new(true).open(path)?;
        let device = match self.kind {
            Kind::Software => Device::Software,
            Kind::Adapter => Device::Adapter,
            Kind::Switching => Device::Switching,
        };
        let header = Header::new(device, self.profile, self.system.plane().state().permanent_mac);
        let used = self.activity() > 0;
        let state = if used { self.state_now() } else { None };
        self.record(Some((file, &header)))?;
        match (&mut self.recorder, used, state) {
            (Some(_), true, Some(state)) => {
                self.call(&Call::TableOutside);
                self.call(&Call::Restore { state: state.into() });
                if self.busy_since.is_some() {
                    self.call(&Call::Wire { ready: false });
                }
            }
            (Some(recorder), true, None) => {
                recorder.remark("begun while the device was in use: what it was before is not known");
            }
            _ => {
                self.call(&Call::TableOutside);
                self.function_reset();
            }
        }
        Ok(())
    }

    /// The state of a device in use, for a recording to begin with; `None` while it is on the adapter or a packet is partly sent.
    fn state_now(&mut self) -> Option<Vec<u8>> {
        if self.system.mode() == Mode::Hardware || self.page.is_some() {
            return None;
        }
        if !self.is_moving() {
            self.settle(Instant::now()).ok()?;
            self.hold.prompt();
            self.interrupt();
        }
        let mut state = Vec::new();
        self.system.save().ok()?.encode(self.profile, &mut state);
        Some(state)
    }

    /// A recording is being made.
    pub fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }
}
