//! Register dumps as witnesses: where the driver itself stood, at some place in the log that has to be found.
//!
//! Source: linux drivers/net/vmxnet3/vmxnet3_ethtool.c, vmxnet3_get_regs.

use super::guest::Guest;
use crate::import::EthtoolDump;
use crate::import::ethtool_d::{CommandRing, CompletionRing};

/// A position of the driver: name and value.
type Place = (String, u64);

/// How near the reconstructed guest came to each dump.
#[derive(Clone, Debug)]
pub(super) struct Witnesses<'a> {
    dumps: Vec<(&'a str, &'a EthtoolDump)>,
    /// For each dump, the places that differ where the fewest do; none when it was never comparable.
    nearest: Vec<Option<Vec<String>>>,
}

impl<'a> Witnesses<'a> {
    /// The dumps that were taken with the interface up: others hold no rings.
    pub fn new(dumps: &'a [(String, EthtoolDump)]) -> Self {
        let dumps: Vec<_> =
            dumps.iter().filter(|(_, dump)| dump.is_up()).map(|(name, dump)| (name.as_str(), dump)).collect();
        Self { nearest: vec![None; dumps.len()], dumps }
    }

    /// A dump may begin here: compares with each that has rings of these sizes.
    pub fn look(&mut self, guest: &Guest<'_>) {
        let here = guest.places();
        for ((_, dump), nearest) in self.dumps.iter().zip(&mut self.nearest) {
            let there = places(dump);
            let same_rings = here.len() == there.len()
                && here.iter().zip(&there).all(|(a, b)| !a.0.ends_with(".size") || a.1 == b.1);
            if here.is_empty() || !same_rings {
                continue;
            }
            let differing: Vec<String> = here
                .iter()
                .zip(&there)
                .filter(|(here, there)| here.1 != there.1)
                .map(|((name, here), (_, there))| format!("{name} is {there}, replayed {here}"))
                .collect();
            if nearest.as_ref().is_none_or(|nearest| differing.len() < nearest.len()) {
                *nearest = Some(differing);
            }
        }
    }

    /// Each dump that could be compared, with what differs at best.
    pub fn found(self) -> Vec<(String, Vec<String>)> {
        let found = self.dumps.into_iter().zip(self.nearest);
        found.filter_map(|((name, _), nearest)| Some((name.to_string(), nearest?))).collect()
    }
}

/// A ring of descriptors as a dump shows it.
pub(super) fn command(name: &str, size: u32, next2fill: u32, next2comp: u32, generation: bool) -> [Place; 4] {
    [
        (format!("{name}.size"), u64::from(size)),
        (format!("{name}.next2fill"), u64::from(next2fill)),
        (format!("{name}.next2comp"), u64::from(next2comp)),
        (format!("{name}.gen"), u64::from(generation)),
    ]
}

/// A completion ring as a dump shows it.
pub(super) fn completion(name: &str, size: u32, next2proc: u32, generation: bool) -> [Place; 3] {
    [
        (format!("{name}.size"), u64::from(size)),
        (format!("{name}.next2proc"), u64::from(next2proc)),
        (format!("{name}.gen"), u64::from(generation)),
    ]
}

fn places(dump: &EthtoolDump) -> Vec<Place> {
    let ring = |name: &str, r: &CommandRing| command(name, r.size, r.next2fill, r.next2comp, r.generation);
    let comp = |name: &str, r: &CompletionRing| completion(name, r.size, r.next2proc, r.generation);
    let mut all = Vec::new();
    for (q, tx) in dump.tx.iter().enumerate() {
        all.extend(ring(&format!("tx[{q}].txRing"), &tx.ring));
        all.extend(comp(&format!("tx[{q}].compRing"), &tx.comp));
    }
    for (q, rx) in dump.rx.iter().enumerate() {
        for (r, one) in rx.ring.iter().enumerate() {
            all.extend(ring(&format!("rx[{q}].rxRing[{r}]"), one));
        }
        all.extend(comp(&format!("rx[{q}].compRing"), &rx.comp));
    }
    all
}
