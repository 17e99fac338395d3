//! Onto a fresh adapter and off it again, through saved bytes.

use model::host::Bare;
use model::hypervisor::{
    Poll, Posted, Program, Scratch, Shadow, WithScratch, capture, eligible, enter, ingress, tear_down,
};
use model::migrate::Canon;
use model::mutant::Planted;
use model::plane::Progress;
use model::vic::{Adapter, Unit};
use spec::profile::Profile;

/// Looks at something that is not so yet, a program: no adapter needs so many.
const POLLS: u32 = 100_000;
/// Frames that an ingress FIFO could ever hold.
const FRAMES: usize = 1024;

/// Our own devices are built as the sources describe them: the recorded one's habits are its own.
pub(super) const PROFILE: &Profile = &Profile::REFERENCE;

/// An adapter that the guest is on, and what the hypervisor remembers of it.
#[derive(Clone, Debug)]
pub(super) struct Hardware {
    pub adapter: Adapter,
    scratch: Scratch,
    shadow: Shadow,
    entered: Canon,
}

/// Encodes and decodes: nothing else goes from one body to the next.
pub(super) fn through_bytes(canon: &Canon) -> Result<(Vec<u8>, Canon), String> {
    let mut bytes = Vec::new();
    canon.encode(PROFILE, &mut bytes);
    let (_, canon) = Canon::decode(&bytes).map_err(|error| error.to_string())?;
    Ok((bytes, canon))
}

impl Hardware {
    /// A fresh adapter goes on where `canon` stands.
    pub fn enter(canon: Canon, host: &mut Bare) -> Result<Self, String> {
        eligible(&canon.activation, PROFILE).map_err(|error| format!("not eligible: {error}"))?;
        let posted = Posted::scan(&canon.activation, &canon.progress, &host.memory, Planted::NONE);
        if posted.tx_full {
            return Err("not eligible now: a tx ring is full to the last cell".into());
        }
        let mut scratch = Scratch::default();
        let (ops, shadow) = enter(&canon.activation, &canon.progress, &posted, PROFILE, &mut scratch, Planted::NONE);
        let mut hardware = Self { adapter: Adapter::new(PROFILE), scratch, shadow, entered: canon };
        hardware.finish(Program::new(ops, POLLS), host)?;
        Ok(hardware)
    }

    /// Takes one step, the `pick`-th that is possible; false when none is.
    pub fn step(&mut self, pick: usize, units: &mut Vec<Unit>, host: &mut Bare) -> bool {
        units.clear();
        self.adapter.units(units);
        let Some(&unit) = units.get(pick % units.len().max(1)) else { return false };
        self.adapter.step(unit, &mut WithScratch { scratch: &mut self.scratch, host });
        true
    }

    /// Runs a program to its end, the adapter taking one step a look.
    fn finish(&mut self, mut program: Program, host: &mut Bare) -> Result<Program, String> {
        let mut units = Vec::new();
        for pick in 0.. {
            match program.step(&mut self.adapter) {
                Poll::Done => break,
                Poll::Failed(error) => return Err(error.to_string()),
                Poll::Pending => {
                    self.step(pick, &mut units, host);
                }
            }
        }
        Ok(program)
    }

    /// Stops the adapter, reads back what its FIFO holds, and tells how far it is. It is gone then.
    pub fn leave(mut self, host: &mut Bare) -> Result<(Canon, Vec<Vec<u8>>), String> {
        self.finish(Program::new(tear_down::stop(&self.shadow), POLLS), host)?;
        let mut held = Vec::new();
        while held.len() < FRAMES {
            let program = self.finish(Program::new(ingress::read_back(), POLLS), host)?;
            let Some(frame) = ingress::frame(&program, &self.scratch) else { break };
            held.push(frame);
        }
        self.adapter.hidden_is_empty().map_err(|part| format!("the adapter's {part} is not empty"))?;
        let Canon { activation, progress } = &self.entered;
        let progress: Progress =
            capture(&mut self.adapter, activation, &host.memory, &self.scratch, progress, Planted::NONE)
                .map_err(|error| error.to_string())?;
        Ok((Canon { activation: activation.clone(), progress }, held))
    }
}
