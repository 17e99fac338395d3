use super::*;
use model::guest::script;
use model::guest::vmxnet3::DriverConfig;
use spec::monitor::Judges;
use spec::profile::Profile;

const OPS: &str = "
send q0 len 60
send q0 len 1000 frags 3 udp4 csum
kick 0
settle
offer len 64
offer len 1400 udp4
settle
switch hardware drain C
settle
send q0 len 300 frags 2
kick 0
offer len 200
offer len 80
switch software rollback C
settle
stats
link down
link up
settle
";

fn setup(device: Device) -> Setup {
    let config = DriverConfig {
        tx_ring: 32,
        tx_comp: 32,
        rx_ring: [32, 32],
        rx_comp: 64,
        rx_mode: 7,
        ..DriverConfig::default()
    };
    Setup {
        device,
        profile: &Profile::REFERENCE,
        config,
        bytes: 4 << 20,
        seed: 7,
        origin: "a test".into(),
        date: String::new(),
    }
}

fn text(device: Device) -> Vec<u8> {
    let mut judges = Judges::snoop();
    let bytes = record(&setup(device), &script::parse(OPS).unwrap(), Vec::new(), &mut judges).unwrap();
    assert!(judges.is_clean(), "{:?}", judges.violations());
    bytes
}

/// The same run as a live server would record it: no stores, no named memory.
fn live(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("> store") && !line.starts_with("memory"));
    kept.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

#[test]
fn a_recording_replays_exactly_and_its_judges_are_clean() {
    for &(name, device) in Device::TABLE {
        let text = text(device);
        for (kind, text) in [("with stores", text.clone()), ("live", live(&text))] {
            let trace = parse(&text).unwrap_or_else(|error| panic!("{name} {kind}: {error}"));
            let replayed = replay(&trace).unwrap();
            assert_eq!(replayed.divergence, None, "{name} {kind}");
            assert_eq!(replayed.verdict.violations, [], "{name} {kind}");
            assert!(replayed.holds() && replayed.effects > 40, "{name} {kind}: {} effects", replayed.effects);
        }
    }
}

#[test]
fn a_trace_that_was_read_is_written_as_it_was() {
    let text = text(Device::Switching);
    let trace = parse(&text).unwrap();
    assert_eq!(trace.print(), text);
}
