//! The record of which devices a case was seen to hold on: golden/seen/cases.json, made from reports by `vnic list --seen`.

use super::document::Document;
use crate::case;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of the record.
    pub schema: u32,
    /// A row a device.
    pub devices: Vec<Device>,
}

/// What was seen of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its short name: [`Document::device`].
    pub device: String,
    /// What it said it was.
    pub identity: String,
    /// What it was expected to be.
    pub profile: String,
    /// The seed of the run.
    pub seed: u64,
    /// Cases that held, in the suite's order.
    pub holds: Vec<String>,
    /// Cases that did not, those that are waived among them.
    pub does_not: Vec<String>,
}

/// The record that this was built with.
static SEEN: LazyLock<Record> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../golden/seen/cases.json"))
        .unwrap_or_else(|error| panic!("golden/seen/cases.json: {error}"))
});

/// The record that this was built with.
pub fn record() -> &'static Record {
    &SEEN
}

impl Record {
    /// The record with what `reports` saw in place of what was known of their devices; cases that are gone are left out.
    #[must_use]
    pub fn with(mut self, reports: &[Document]) -> Self {
        for report in reports {
            let which = |words: &[&str]| {
                let rows = case::all().filter_map(|case| report.case(case.id));
                let rows = rows.filter(|row| words.contains(&&*row.verdict));
                rows.map(|row| row.case.clone()).collect::<Vec<_>>()
            };
            let device = Device {
                device: report.device(),
                identity: report.identity.clone(),
                profile: report.profile.clone(),
                seed: report.seed,
                holds: which(&["holds"]),
                does_not: which(&["waived", "fails", "ended"]),
            };
            match self.devices.iter_mut().find(|known| known.device == device.device) {
                Some(known) => *known = device,
                None => self.devices.push(device),
            }
        }
        let known = |name: &String| case::all().any(|case| case.id == *name);
        for device in &mut self.devices {
            device.holds.retain(known);
            device.does_not.retain(known);
        }
        self
    }

    /// Devices that a case was seen to hold on.
    pub fn of_case(&self, name: &str) -> Vec<&str> {
        let held = |device: &&Device| device.holds.iter().any(|held| held == name);
        self.devices.iter().filter(held).map(|device| &*device.device).collect()
    }

    /// Devices on which a case that claims the clause held, and none did not.
    pub fn of_clause(&self, id: &str) -> Vec<&str> {
        let claims = |name: &String| case::all().any(|case| case.id == *name && case.clauses.contains(&id));
        let held = |device: &&Device| device.holds.iter().any(claims) && !device.does_not.iter().any(claims);
        self.devices.iter().filter(held).map(|device| &*device.device).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::document::CaseRow;

    #[test]
    fn every_case_of_the_record_exists_and_no_case_is_both() {
        for device in &record().devices {
            for name in device.holds.iter().chain(&device.does_not) {
                assert!(case::all().any(|case| case.id == *name), "{}: no case is called {name}", device.device);
            }
            assert!(!device.holds.iter().any(|name| device.does_not.contains(name)), "{}", device.device);
        }
        let names: Vec<_> = record().devices.iter().map(|device| &*device.device).collect();
        for name in ["software", "adapter", "qemu-7.2", "qemu-11.1"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn a_report_replaces_what_was_known_of_its_device() {
        let case = case::all().next().expect("a case");
        let row = |name: &str, verdict: &str| CaseRow {
            case: name.into(),
            clauses: vec![],
            verdict: verdict.into(),
            details: vec![],
            milliseconds: 0,
            script: String::new(),
            conversation: vec![],
        };
        let report = |verdict: &str| Document {
            schema: 1,
            dut: "toaster".into(),
            identity: "a toaster".into(),
            version: "2.0".into(),
            profile: "reference".into(),
            mutant: String::new(),
            seed: 1,
            cases: vec![row(case.id, verdict), row("no-such-case", "holds")],
            clauses: vec![],
            stale_waivers: vec![],
            holds: true,
        };
        let held = record().clone().with(&[report("holds")]);
        assert!(held.of_case(case.id).contains(&"toaster-2.0"));
        assert!(held.of_clause(case.clauses[0]).contains(&"toaster-2.0"));
        assert_eq!(held.of_case("no-such-case"), [""; 0]);
        let fell = held.with(&[report("fails")]);
        assert!(!fell.of_case(case.id).contains(&"toaster-2.0"));
        assert!(!fell.of_clause(case.clauses[0]).contains(&"toaster-2.0"));
        assert_eq!(fell.devices.len(), record().devices.len() + 1);
    }
}
