//! A drawing of a word's bits: a row for each 32 of them, bit 31 at the left, two columns a bit.

use crate::layout::Layout;

/// Columns of a row, without the border at its left end.
const COLUMNS: usize = 64;

/// `layout` drawn in lines of text. A name that does not fit is a letter, told below.
pub fn drawing(layout: &Layout) -> String {
    let mut out = scale();
    let mut letters = ('a'..='z').chain('A'..='Z');
    let mut legend: Vec<String> = Vec::new();
    let border = format!("   +{}\n", "-+".repeat(COLUMNS / 2));
    for dword in 0..layout.bits / 32 {
        out.push_str(&border);
        let mut cells: Vec<String> = Vec::new();
        for field in layout.fields {
            let (from, to) = (field.low.max(dword * 32), (field.low + field.bits).min(dword * 32 + 32));
            if from >= to {
                continue;
            }
            let width = (to - from) as usize * 2 - 1;
            let name = match (field.is_reserved(), to - from == field.bits) {
                (true, _) => String::new(),
                (false, true) => field.name.to_string(),
                (false, false) => format!("{} {}:{}", field.name, to - 1 - field.low, from - field.low),
            };
            let text = if name.len() <= width {
                name
            } else {
                let letter = letters.next().unwrap_or('?').to_string();
                legend.push(format!("{letter} {name}"));
                letter
            };
            cells.push(format!("{text:^width$}"));
        }
        cells.reverse();
        out.push_str(&format!("{dword:>2} |{}|\n", cells.join("|")));
    }
    out.push_str(&border);
    if !legend.is_empty() {
        out.push_str(&lines(&legend));
    }
    out
}

/// What the letters stand for, in lines no longer than the drawing where that can be.
fn lines(legend: &[String]) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for entry in legend {
        if !line.is_empty() && line.len() + entry.len() + 2 > COLUMNS {
            out.push_str(&format!("   {line},\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(entry);
    }
    format!("{out}   {line}\n")
}

/// Numbers of the bits, tens above ones.
fn scale() -> String {
    let digits = |of: fn(u32) -> String| (0..32).rev().map(of).collect::<Vec<_>>().join(" ");
    let tens = digits(|bit| if bit % 10 == 0 || bit == 31 { (bit / 10).to_string() } else { " ".into() });
    let ones = digits(|bit| (bit % 10).to_string());
    format!("    {}\n    {ones}\n", tens.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmxnet3::{RxCompDesc, TxDesc};

    #[test]
    fn every_row_has_every_bit() {
        for layout in [TxDesc::LAYOUT, RxCompDesc::LAYOUT] {
            let text = drawing(layout);
            let rows: Vec<_> = text.lines().filter(|line| line.contains('|')).collect();
            assert_eq!(rows.len(), 4);
            assert!(rows.iter().all(|row| row.len() == 4 + COLUMNS), "{text}");
        }
    }

    #[test]
    fn a_name_that_does_not_fit_is_told_below() {
        let text = drawing(TxDesc::LAYOUT);
        assert!(
            text.contains("|          msscof           |") && text.contains(" gen") && text.contains("addr 63:32"),
            "{text}"
        );
    }
}
