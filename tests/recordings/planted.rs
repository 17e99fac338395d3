//! Divergences planted in a trace that replays: each is found at its event and named.

use super::{folder, parse, read};
use golden::import::capture::read_file;
use golden::trace::{Divergence, replay};

/// A recording in which every store is known, so that every effect can be compared.
fn lines() -> Vec<String> {
    lines_of("scripted/switching.trace")
}

fn lines_of(name: &str) -> Vec<String> {
    let bytes = read_file(&folder().join(name)).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(bytes).expect("a trace is text").lines().map(String::from).collect()
}

fn diverges(lines: &[String]) -> Divergence {
    let text = lines.join("\n");
    let trace = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    replay(&trace).unwrap_or_else(|error| panic!("{error}")).divergence.expect("a planted divergence is found")
}

/// Numbers, from 0, of the lines that begin so, evenly spread over the recording.
fn some(lines: &[String], begin: &str, most: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].starts_with(begin)).collect();
    assert!(!all.is_empty(), "no line begins with {begin}");
    all.iter().copied().step_by(all.len().div_ceil(most)).collect()
}

/// The line with the digit at `place` of its `word`th word changed.
fn flipped(line: &str, word: usize, place: usize) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(String::from).collect();
    let mut digits: Vec<char> = words[word].chars().collect();
    digits[place] = if digits[place] == '0' { '1' } else { '0' };
    words[word] = digits.into_iter().collect();
    words.join(" ")
}

#[test]
fn a_changed_value_is_found_at_its_line() {
    let whole = lines();
    let kinds = ["< fetch", "< publish", "< read", "< write", "< transmit", "< vector", "< switched", "= 0x"];
    for kind in kinds {
        for at in some(&whole, kind, 12) {
            let mut lines = whole.clone();
            let line = &whole[at];
            lines[at] = match kind {
                "< fetch" | "< publish" | "< read" | "< write" => flipped(line, 3, 1),
                "< transmit" => flipped(line, 3, 3),
                "< vector" => format!("< vector {}", 9),
                "= 0x" => flipped(line, 1, line.len() - 3),
                _ if line.ends_with("hardware") => "< switched software".into(),
                _ => "< switched hardware".into(),
            };
            let found = diverges(&lines);
            assert_eq!(found.line, at + 1, "{line}: {found}");
            assert_ne!(found.expected, found.got, "{found}");
        }
    }
}

#[test]
fn a_changed_field_is_found_by_its_name() {
    let whole = lines();
    let name = |begin: &str, place: usize| {
        let at = some(&whole, begin, 1)[0];
        let mut lines = whole.clone();
        lines[at] = flipped(&whole[at], 3, place);
        diverges(&lines).field
    };
    // Each 16 bytes as 32 digits in memory order; the second digit of a byte is its low half.
    let completion = name("< publish", 30);
    assert!(completion.ends_with("gen"), "{completion}");
    let index = name("< publish", 1);
    assert!(index.ends_with("Idx"), "{index}");
    let address = name("< fetch", 1);
    assert!(address.ends_with("addr"), "{address}");
    let len = name("< fetch", 17);
    assert!(len.ends_with("len"), "{len}");
}

#[test]
fn a_lost_line_is_found_where_it_was() {
    let whole = lines();
    for kind in ["< fetch", "< publish", "< read", "< write", "< transmit", "< vector"] {
        for at in some(&whole, kind, 12) {
            if whole.get(at + 1) == Some(&whole[at]) {
                continue;
            }
            let mut lines = whole.clone();
            lines.remove(at);
            let found = diverges(&lines);
            // What stands there now, or the line before when it was the last effect.
            let last = !whole[at + 1].starts_with("< ") || whole[at + 1].starts_with("< look");
            assert_eq!(found.line, if last { at } else { at + 1 }, "{}: {found}", whole[at]);
        }
    }
}

#[test]
fn swapped_lines_are_found_at_the_first() {
    let whole = lines();
    for at in some(&whole, "< ", 60) {
        if !whole[at + 1].starts_with("< ") || whole[at] == whole[at + 1] || whole[at].starts_with("< look") {
            continue;
        }
        let mut lines = whole.clone();
        lines.swap(at, at + 1);
        if lines[at].starts_with("< look") {
            continue;
        }
        let found = diverges(&lines);
        assert_eq!(found.line, at + 1, "{}: {found}", whole[at]);
    }
}

#[test]
fn an_added_effect_is_found() {
    let whole = lines();
    for at in some(&whole, "> idle", 6) {
        let mut lines = whole.clone();
        lines.insert(at + 1, "< vector 3".into());
        let found = diverges(&lines);
        assert_eq!((found.line, found.got.as_str()), (at + 2, "nothing more"));
    }
}

#[test]
fn what_the_hypervisor_saw_is_compared() {
    let whole = lines();
    for at in some(&whole, "< look", 12) {
        let mut lines = whole.clone();
        lines[at] = flipped(&whole[at], 3, 1);
        let found = diverges(&lines);
        assert_eq!(found.line, at + 1, "{found}");
        assert!(found.field.starts_with("look"), "{found}");
    }
}

#[test]
fn the_same_run_without_its_stores_replays_as_a_live_recording_does() {
    let kept = |line: &&String| !line.starts_with("> store") && !line.starts_with("memory");
    let live: Vec<String> = lines().iter().filter(kept).cloned().collect();
    let trace = read("live", live.join("\n").as_bytes());
    assert!(!trace.header.has_stores());
    let replayed = replay(&trace).unwrap_or_else(|error| panic!("{error}"));
    assert!(replayed.holds(), "{:?} {:?}", replayed.divergence, replayed.violations());
    // Of what the device did, a changed byte is found there too.
    for kind in ["< publish", "< write", "< transmit"] {
        for at in some(&live, kind, 6) {
            let mut lines = live.clone();
            lines[at] = flipped(&live[at], 3, 3);
            assert_eq!(diverges(&lines).line, at + 1, "{}", live[at]);
        }
    }
}

/// What real drivers saw the device write: a bit changed anywhere is found at its line, under the name the field has.
#[test]
fn in_a_real_drivers_recording_the_changed_field_is_named() {
    // Digits of a completion in memory order: the low half of byte 15 holds the generation, byte 8 begins the length, byte 0 the index.
    let fields = [(30, "gen"), (17, "len"), (1, "Idx")];
    for name in [
        "linux-6.1/software-trapped.trace.gz",
        "linux-6.1/adapter-trapped.trace.gz",
        "linux-7.3/software-direct.trace.gz",
        "linux-7.3/adapter-direct.trace.gz",
        "linux-7.3/switching-trapped.trace.gz",
    ] {
        let whole = lines_of(name);
        let trace = read(name, whole.join("\n").as_bytes());
        assert!(replay(&trace).unwrap_or_else(|error| panic!("{error}")).holds(), "{name}");
        // Completions of received frames have a length, those of sent ones do not.
        let received =
            |line: &&usize| whole[**line].split_whitespace().nth(3).is_some_and(|cell| &cell[16..20] != "0000");
        let published = some(&whole, "< publish", 60);
        let at = *published.iter().find(received).expect("a frame was received");
        for (place, field) in fields {
            let mut lines = whole.clone();
            lines[at] = flipped(&whole[at], 3, place);
            let found = diverges(&lines);
            assert_eq!(found.line, at + 1, "{name}: {found}");
            assert!(found.field.contains("RxCompDesc") && found.field.ends_with(field), "{name}: {found}");
        }
    }
}
