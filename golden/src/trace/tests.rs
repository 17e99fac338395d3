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

#[test]
fn the_conversation_of_a_case_keeps_its_name_its_bug_its_memory_and_its_claims() {
    let text = text(Device::Software);
    let told = "case some-case\nmutant sw-rx-rqid\npartial 9\nfill 0xa5\noutside a chip, revision 2\nmemory";
    let text = String::from_utf8(text).unwrap().replacen("memory", told, 1) + "! VMX-RX-007: case some-case: it is 1\n";
    let trace = parse(text.as_bytes()).unwrap();
    assert_eq!((&*trace.header.case, trace.header.fill), ("some-case", 0xa5));
    assert_eq!(trace.header.mutant.map(|mutant| mutant.row().1), Some("sw-rx-rqid"));
    assert_eq!((trace.header.partial, &*trace.header.outside), (Some(9), "a chip, revision 2"));
    let claim = Claim { after: trace.steps.len(), words: "VMX-RX-007: case some-case: it is 1".into() };
    assert_eq!(trace.claims, [claim]);
    assert_eq!(String::from_utf8(trace.print()).unwrap(), text);
    assert_eq!(known::memory(&trace).unwrap().bytes(trace.header.memory[0].0, 1).unwrap(), [0xa5]);
    let recording = crate::dump::Recording { file: "a test".into(), trace };
    let shown = crate::show::recording(&recording).unwrap();
    assert!(shown.contains("\n! VMX-RX-007: case some-case: it is 1\n"), "{shown}");
}

#[test]
fn a_writer_that_is_refused_says_so_and_keeps_still() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full, &Header::new(Device::Software, &Profile::REFERENCE, [2; 6]));
    for _ in 0..10_000 {
        writer.remark("the disk is full");
    }
    assert!(writer.error().is_some());
    assert!(writer.finish().is_err());
}

#[test]
fn a_notice_that_found_nothing_leaves_no_line() {
    use model::machine::System;
    use model::memory::Memory;
    let memory = Watched::new(Memory::new(&[(0x1000, 0x1000)]));
    let mut system = System::new(&Profile::REFERENCE, memory, [2; 6]);
    let mut writer = Writer::new(Vec::new(), &Header::new(Device::Software, &Profile::REFERENCE, [2; 6]));
    let before = writer.written();
    writer.call(&Call::Notice, &mut system, &mut ());
    assert_eq!(writer.written(), before);
    writer.call(&Call::Idle, &mut system, &mut ());
    assert!(String::from_utf8(writer.finish().unwrap()).unwrap().ends_with("begin\n> idle\n"));
}

#[test]
fn somebody_elses_words_are_written_as_they_are_read_again() {
    let mut header = Header::new(Device::Software, &Profile::REFERENCE, [2; 6]);
    header.kernel = "6.1\0\n> idle # no\0 ".into();
    header.origin = "\u{85} \0".into();
    let text = Writer::new(Vec::new(), &header).finish().unwrap();
    let read = parse(&text).unwrap();
    assert_eq!((&*read.header.kernel, &*read.header.origin), ("6.1  > idle   no", ""));
    assert_eq!(read.print(), text);
}

#[test]
fn hand_made_lines_are_refused_where_they_stand() {
    let head = "vnic-trace 1\ndevice software\nprofile reference\nmac 02:00:00:00:00:01\nbegin\n";
    for (line, column, expected) in [
        ("< vector 1", 1, "a call, what came of the call before, or a claim"),
        ("> write bar9 0x0 0x0", 9, "bar0, bar1 or bar2"),
        ("> write bar0 0x0 0x100000000", 18, "a value of 32 bits"),
        ("> message 65", 11, "a vector below 65"),
        ("> run 4096 more", 12, "the end of the line"),
        ("> switch enter drain C fail nowhere", 29, "a stage"),
        ("> offer 0g", 9, "pairs of hexadecimal digits, then perhaps `frame(SEED,ID,LENGTH)`"),
        ("> idle\n= 0x1\n= 0x2", 1, "a call, what came of the call before, or a claim"),
    ] {
        let refused = parse(format!("{head}{line}\n").as_bytes()).unwrap_err();
        assert_eq!((refused.column, refused.expected), (column, expected), "{line}");
    }
    for missing in ["", "vnic-trace 2\n", "vnic-trace 1\nbegin\n", "vnic-trace 1\ndevice software\ndevice software\n"] {
        assert!(parse(missing.as_bytes()).is_err(), "{missing}");
    }
    let regions = head.replace("begin", "memory 0x2000 +0x1000\nmemory 0x1000 +0x1000\nbegin");
    assert_eq!(parse(regions.as_bytes()).unwrap_err().line, 6);
}
