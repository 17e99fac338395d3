//! A move as a picture: who said what to whom, and who was the device meanwhile. As text, and as SVG that needs nothing else.

use super::relocate::{Report, Step};
use std::fmt::Write;

/// Who takes part, from left to right.
const LANES: [&str; 5] = ["hypervisor", "front", "source", "destination", "fabric"];
const FRONT: usize = 1;
const SOURCE: usize = 2;
const DESTINATION: usize = 3;
const FABRIC: usize = 4;

/// What a lane is during a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Being {
    /// It is there.
    Here,
    /// It backs the device, or its guest runs.
    Runs,
    /// It stands still, or its guest waits.
    Still,
    /// It has no part in the device.
    Apart,
}

/// One line of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    at_us: u64,
    /// Microseconds that it took, for the row that stands for a step.
    took_us: Option<u64>,
    name: &'static str,
    from: usize,
    to: usize,
    says: String,
    lanes: [Being; 5],
}

/// The rows of a move, in order.
fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::with_capacity(report.steps.len() + 3);
    let mut lanes = [Being::Runs, Being::Here, Being::Runs, Being::Apart, Being::Here];
    for timed in &report.steps {
        let (at_us, took) = (timed.from_us, timed.to_us.saturating_sub(timed.from_us));
        let mut add = |lanes, name, at_us, took_us, from, to, says: String| {
            rows.push(Row { at_us, took_us, name, from, to, says, lanes });
        };
        let (from, to, says) = match timed.step {
            Step::Connect => (FRONT, DESTINATION, "connects: the same device is there".into()),
            Step::Map => (FRONT, DESTINATION, format!("guest memory: {} maps", report.maps)),
            Step::Interrupts => (FRONT, DESTINATION, format!("interrupts: {} eventfds", report.eventfds)),
            Step::Ready => {
                lanes[DESTINATION] = Being::Still;
                (FRONT, DESTINATION, "stands ready for a state".into())
            }
            Step::Stop => {
                (lanes[0], lanes[SOURCE]) = (Being::Still, Being::Still);
                (FRONT, SOURCE, "leaves the adapter, stops; the guest's accesses wait".into())
            }
            Step::Copy => (FRONT, SOURCE, "keeps frames for the guest from here on".into()),
            Step::ReadState => (SOURCE, FRONT, format!("its state: {} bytes", report.state_bytes)),
            Step::WriteState => (FRONT, DESTINATION, "the state".into()),
            Step::ReadRest => {
                if report.barrier {
                    let says = "RARP: behind every frame that was sent to the source".into();
                    add(lanes, "", at_us, None, FABRIC, SOURCE, says);
                }
                let late = if report.barrier { "" } else { ", no RARP came" };
                (SOURCE, FRONT, format!("the rest: {} frames, {} bytes{late}", report.frames, report.rest_bytes))
            }
            Step::WriteRest => (FRONT, DESTINATION, "the rest".into()),
            Step::Load => (FRONT, DESTINATION, "becomes the device".into()),
            Step::Run => {
                (lanes[0], lanes[DESTINATION]) = (Being::Runs, Being::Runs);
                (FRONT, DESTINATION, "runs".into())
            }
            Step::Leave => {
                lanes[SOURCE] = Being::Apart;
                (FRONT, SOURCE, "is left, and as new".into())
            }
        };
        add(lanes, timed.step.name(), at_us, Some(took), from, to, says);
        let (from, says) = match timed.step {
            Step::Copy => (SOURCE, "marker: behind the guest's last frame; the destination looks for it"),
            Step::WriteState => (DESTINATION, "RARP: the guest is here"),
            _ => continue,
        };
        add(lanes, "", timed.to_us, None, from, FABRIC, says.into());
    }
    rows
}

fn title(report: &Report) -> String {
    let Report { from, to, still_us, state_bytes, rest_bytes, frames, .. } = report;
    format!(
        "{} to {}: still for {still_us} us, {} bytes, {frames} frames handed over",
        from.display(),
        to.display(),
        state_bytes + rest_bytes
    )
}

/// Width of a lane in characters.
const LANE: usize = 13;

/// The picture as text.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n\n{:>8} {:>7}  {:<12}", title(report), "at us", "took", "step");
    for lane in LANES {
        let _ = write!(out, "{lane:^LANE$}");
    }
    out.push('\n');
    for row in rows(report) {
        let took = row.took_us.map(|us| us.to_string()).unwrap_or_default();
        let mut line: Vec<char> = vec![' '; LANES.len() * LANE];
        let centre = |lane: usize| lane * LANE + LANE / 2;
        for (lane, being) in row.lanes.iter().enumerate() {
            line[centre(lane)] = match being {
                Being::Here => '|',
                Being::Runs => '#',
                Being::Still => ':',
                Being::Apart => ' ',
            };
        }
        let (from, to) = (centre(row.from), centre(row.to));
        let between = from.min(to) + 1..from.max(to);
        line[between.clone()].fill('-');
        line[if to > from { between.end - 1 } else { between.start }] = if to > from { '>' } else { '<' };
        let line: String = line.into_iter().collect();
        let _ = writeln!(out, "{:>8} {took:>7}  {:<12}{line} {}", row.at_us, row.name, row.says);
    }
    out.push_str("\n# runs   : stands still, or waits   | there\n");
    out
}

/// Pixels between lanes.
const WIDE: usize = 130;
/// Pixels between rows.
const HIGH: usize = 26;
/// Where the first lane is.
const LEFT: usize = 250;
/// Where the first row is.
const TOP: usize = 90;

/// The picture as SVG.
pub fn svg(report: &Report) -> String {
    let rows = rows(report);
    let (lane_x, row_y) = (|lane: usize| LEFT + lane * WIDE, |row: usize| TOP + row * HIGH);
    let (wide, high) = (lane_x(LANES.len()) + 360, row_y(rows.len()) + 50);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<defs><marker id=\"tip\" \
         markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n"
    );
    let mut say = |x: usize, y: usize, anchor: &str, text: &str| {
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(text));
    };
    say(20, 28, "start", &title(report));
    for (x, head) in [(70, "at us"), (130, "took"), (150, "step")] {
        say(x, 60, if x == 150 { "start" } else { "end" }, head);
    }
    for (lane, name) in LANES.iter().enumerate() {
        say(lane_x(lane), 60, "middle", name);
    }
    for (i, row) in rows.iter().enumerate() {
        let y = row_y(i);
        say(70, y + 4, "end", &row.at_us.to_string());
        say(130, y + 4, "end", &row.took_us.map(|us| us.to_string()).unwrap_or_default());
        say(150, y + 4, "start", row.name);
        say(lane_x(LANES.len()) - WIDE / 2, y + 4, "start", &row.says);
    }
    for (i, row) in rows.iter().enumerate() {
        let y = row_y(i);
        for (lane, being) in row.lanes.iter().enumerate() {
            let (colour, width) = match being {
                Being::Here => ("#888888", 1),
                Being::Runs => ("#2a9d4b", 9),
                Being::Still => ("#e0a020", 5),
                Being::Apart => continue,
            };
            let (x, from, to) = (lane_x(lane), y - HIGH / 2, y + HIGH / 2);
            let _ = writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{from}\" x2=\"{x}\" y2=\"{to}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
            );
        }
        let (from, to) = (lane_x(row.from), lane_x(row.to));
        let (from, to) = if to > from { (from + 6, to - 6) } else { (from - 6, to + 6) };
        let _ = writeln!(
            out,
            "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" stroke=\"black\" marker-end=\"url(#tip)\"/>"
        );
    }
    let y = row_y(rows.len()) + 20;
    let _ = writeln!(out, "<text x=\"20\" y=\"{y}\">green: runs; amber: stands still, or waits</text>\n</svg>");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::relocate::Timed;
    use super::*;

    fn report(barrier: bool) -> Report {
        let steps = (0..).zip(Step::TABLE);
        let steps = steps.map(|(i, (step, _))| Timed { step: *step, from_us: i * 100, to_us: i * 100 + 90 });
        Report {
            from: "/run/a<b".into(),
            to: "/run/b".into(),
            steps: steps.collect(),
            still_us: 790,
            state_bytes: 2000,
            rest_bytes: 300,
            frames: 3,
            dropped: 0,
            barrier,
            maps: 4,
            eventfds: 2,
        }
    }

    #[test]
    fn the_device_runs_in_one_place_at_a_time_and_the_barrier_comes_after_the_announcement() {
        let rows = rows(&report(true));
        let runs = |row: &Row| [SOURCE, DESTINATION].map(|lane| row.lanes[lane] == Being::Runs);
        assert!(rows.iter().all(|row| runs(row) != [true, true]));
        let place = |from, to| rows.iter().position(|row| (row.from, row.to) == (from, to)).unwrap();
        assert!(place(DESTINATION, FABRIC) < place(FABRIC, SOURCE));
        assert!(rows.windows(2).all(|pair| pair[0].at_us <= pair[1].at_us || pair[0].name.is_empty()));
        assert!(!super::rows(&report(false)).iter().any(|row| row.from == FABRIC));
    }

    #[test]
    fn a_move_as_text() {
        let text = text(&report(true));
        assert_eq!(text.lines().count(), 3 + 16 + 2);
        let stop = text.lines().find(|line| line.contains(" stop ")).unwrap();
        assert!(stop.contains(":            |----------->:"), "{stop}");
        assert!(text.contains("|<-----------:"), "{text}");
    }

    #[test]
    fn a_move_as_svg_is_whole_and_escaped() {
        let svg = svg(&report(true));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("/run/a&lt;b"));
        assert_eq!(svg.matches("marker-end").count(), 16);
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
