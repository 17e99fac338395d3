//! One move as a picture, from a run of the model: rings, pipeline and FIFOs before it, at the freeze, in software, and after.

use crate::ledger::{Entry, RingView, Settings, Snapshot, Tale, tell};
use model::migrate::{Plan, Policy, TxMode};
use std::fmt::Write;

/// The moments that are drawn: as the tale calls them, and as the picture does.
const MOMENTS: [(&str, &str); 4] =
    [("before", "before"), ("stop-vcpus", "at the freeze"), ("in software", "in software"), ("after", "after")];

/// Pixels of a cell, of a panel's height, and from the left edge to the first cell.
const CELL: u32 = 9;
const HIGH: u32 = 190;
const LEFT: u32 = 120;

/// A move under traffic that is chosen by `seed`, and its picture as SVG that needs nothing else.
pub fn one_move(seed: u64) -> String {
    let settings =
        Settings { seed, leave: Plan::leave(TxMode::RollBack, Policy::C), enter: Plan::enter(TxMode::RollBack) };
    svg(&tell(&settings))
}

fn svg(tale: &Tale) -> String {
    let wide = LEFT + 64 * CELL + 40;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {}\" width=\"{wide}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"one move: rings, pipeline and FIFOs\">\n",
        HIGH * MOMENTS.len() as u32 + 30
    );
    for (place, (at, title)) in MOMENTS.iter().enumerate() {
        if let Some(entry) = tale.entries.iter().find(|entry| entry.at == *at) {
            panel(&mut out, HIGH * place as u32, title, entry);
        }
    }
    let balance: Vec<_> = tale.balance.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    let y = HIGH * MOMENTS.len() as u32 + 14;
    text(&mut out, 8, y, &balance[..balance.len().min(5)].join("; "));
    out.push_str("</svg>\n");
    out
}

/// One moment: who is the device, both rings, and everything that holds packets or frames.
fn panel(out: &mut String, top: u32, title: &str, Entry { snapshot, .. }: &Entry) {
    let Snapshot { hardware, runs, tx, rx, doorbells, pipeline, writes, ingress, uplink, port, handed, outstanding } =
        snapshot;
    let (device, colour) = if *hardware { ("adapter", "#2a7de1") } else { ("software body", "#2a9d4b") };
    let guest = if *runs { "the guest runs" } else { "the guest stands still" };
    let wide = LEFT + 64 * CELL + 32;
    let _ = writeln!(
        out,
        "<rect x=\"4\" y=\"{}\" width=\"{wide}\" height=\"{}\" rx=\"6\" fill=\"none\" stroke=\"{colour}\"/>",
        top + 4,
        HIGH - 10
    );
    let _ = writeln!(out, "<text x=\"12\" y=\"{}\" font-weight=\"bold\">{title}</text>", top + 22);
    text(out, LEFT, top + 22, &format!("{device}; {guest}; it waits for {outstanding} completions"));
    ring(out, top + 36, "TX ring", *tx, colour);
    ring(out, top + 76, "RX ring", *rx, colour);
    let boxes: &[(&str, usize)] = &[
        ("doorbells", *doorbells),
        ("pipeline", *pipeline),
        ("write FIFO", *writes),
        ("ingress FIFO", *ingress),
        ("uplink", *uplink),
        ("port", *port),
        ("handed over", *handed),
    ];
    for (place, (name, count)) in boxes.iter().enumerate() {
        let x = 12 + 98 * place as u32;
        text(out, x, top + 130, &format!("{name}: {count}"));
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{}\" width=\"88\" height=\"30\" fill=\"none\" stroke=\"#888888\"/>",
            top + 138
        );
        for item in 0..(*count).min(16) as u32 {
            let (column, row) = (item % 8, item / 8);
            let (x, y) = (x + 4 + 10 * column, top + 142 + 12 * row);
            let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"8\" height=\"9\" fill=\"#e0a020\"/>");
        }
    }
}

/// A ring as a strip: cells that wait for the device are filled, the one that it takes next has a mark above it.
fn ring(out: &mut String, top: u32, name: &str, RingView { size, next, posted }: RingView, colour: &str) {
    text(out, 12, top + 18, name);
    text(out, 12, top + 31, &format!("{posted} posted"));
    for cell in 0..size.min(64) {
        let waits = (cell + size - next) % size < posted;
        let fill = if waits { colour } else { "none" };
        let (x, y) = (LEFT + cell * CELL, top + 8);
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"18\" fill=\"{fill}\" stroke=\"#888888\"/>",
            CELL - 1
        );
    }
    let x = LEFT + next * CELL + CELL / 2;
    let _ = writeln!(out, "<path d=\"M{x},{} l-4,-6 h8 z\" fill=\"currentColor\"/>", top + 7);
}

fn text(out: &mut String, x: u32, y: u32, words: &str) {
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" fill=\"currentColor\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tale() -> Tale {
        tell(&Settings {
            seed: 1,
            leave: Plan::leave(TxMode::RollBack, Policy::C),
            enter: Plan::enter(TxMode::RollBack),
        })
    }

    #[test]
    fn every_moment_is_drawn_from_the_run() {
        let (picture, tale) = (one_move(1), tale());
        for (at, title) in MOMENTS {
            let entry = tale.entries.iter().find(|entry| entry.at == at).expect("the tale has it");
            assert!(picture.contains(&format!(">{title}</text>")), "{title}");
            assert!(picture.contains(&format!(">{} posted</text>", entry.snapshot.tx.posted)), "{title}");
        }
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
        assert_ne!(picture, one_move(2), "another run is another picture");
    }

    #[test]
    fn the_moments_are_what_their_names_say() {
        let tale = tale();
        let [before, freeze, software, after] =
            MOMENTS.map(|(at, _)| tale.entries.iter().find(|entry| entry.at == at).expect("the tale has it").snapshot);
        assert!(before.hardware && before.runs && after.hardware && after.runs);
        assert!(freeze.hardware && !freeze.runs);
        assert!(!software.hardware && software.runs);
        assert!(before.pipeline + before.ingress + before.writes + before.uplink > 0, "something is in flight");
        assert_eq!((after.pipeline, after.ingress, after.writes, after.outstanding), (0, 0, 0, 0));
        assert!(after.rx.posted > 0 && after.rx.posted < after.rx.size, "one cell is held back");
    }
}
