//! The suite as one call, for whoever has a device in the same process.

use crate::case::SEED;
use crate::conform::waivers::Waiver;
use crate::conform::{self, Choice, Identity, Report, Settings, Under};
use crate::refused::Refused;
use crate::rig::Lender;
use crate::source::Source;
use golden::dut::Dut;
use model::mutant::Planted;
use spec::profile::Profile;

/// What a device is judged by.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it is expected to be: [`Profile::by_name`] has them all, [`Profile::offering`] other versions and queues.
    pub profile: &'static Profile,
    /// Which cases are run.
    pub choice: Choice,
    /// What is known of it and not new.
    pub waivers: &'static [Waiver],
    /// Order of the cases, contents of memory that nobody has written, payloads.
    pub seed: u64,
}

impl Default for Options {
    /// Every case, on a device that is expected to be the reference.
    fn default() -> Self {
        Self { profile: &Profile::REFERENCE, choice: Choice::default(), waivers: &[], seed: SEED }
    }
}

/// Runs the suite on `device`. It is reset before each conversation, which finds guest memory filled anew; nothing is expected of what
/// it holds when this returns.
///
/// # Errors
/// The profile contradicts itself; no case was run.
pub fn run(device: &mut impl Dut, options: &Options) -> Result<Report, Refused> {
    let lender = Lender::new(device);
    let about = lender.about();
    let identity = Identity {
        dut: about.name.clone(),
        call: about.name.clone(),
        identity: about.identity.clone(),
        version: about.version.clone(),
        profile: options.profile,
        mutant: None,
    };
    let settings =
        Settings { choice: &options.choice, waivers: options.waivers, seed: options.seed, planted: Planted::NONE };
    conform::run(identity, &mut Under::Theirs(Source::new(|| lender.lend())), &settings, &mut |_, _| {})
}
