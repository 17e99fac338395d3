//! One word, explained from the specification's tables: a register, an offset, a command, an error code, a named value, a structure, a
//! field, or the 16 bytes of a descriptor.

use spec::export::{CONSTANTS, DESCRIPTORS, LIMITS, REGISTERS, STRUCTURES};
use spec::layout::{Kind, Layout, number};
use spec::registers::{Access, RegisterDecl, RegisterMap};
use spec::vic::{Devcmd, DevcmdError};
use spec::vmxnet3::command::QueueError;
use spec::vmxnet3::{Bar0, Command, RxCompDesc, RxDesc, TxCompDesc, TxDesc};

/// The word before `+` that names each page of [`REGISTERS`].
const PAGES: [&str; REGISTERS.len()] = ["bar0", "large", "bar1", "wq", "rq", "cq", "intr", "devcmd"];

/// Structures that are not part of another one: fields are told with their path from the outermost.
fn outermost() -> impl Iterator<Item = &'static Layout> {
    let all = || STRUCTURES.iter().chain(DESCRIPTORS).map(|(_, layout)| *layout);
    let part = move |inner: &'static Layout| {
        all().any(|outer| outer.fields.iter().any(|field| within(field.kind) == Some(inner)))
    };
    all().filter(move |layout| !part(layout))
}

/// The structure that a field is, or is an array of.
fn within(kind: Kind) -> Option<&'static Layout> {
    match kind {
        Kind::Struct(inner) | Kind::Array(_, Some(inner)) => Some(inner),
        _ => None,
    }
}

/// What 16 bytes of a ring can be.
const CELLS: [&Layout; 4] = [TxDesc::LAYOUT, TxCompDesc::LAYOUT, RxDesc::LAYOUT, RxCompDesc::LAYOUT];

/// Everything `word` can mean, one paragraph a meaning; `None` when no table has it.
///
/// Names are compared without regard to case; a prefix as in `Vmxnet3_TxDesc` or `VMXNET3_CMD_` may be left out.
pub fn explain(word: &str) -> Option<String> {
    let word = word.trim();
    let mut found = Vec::new();
    if let Some(bytes) = sixteen_bytes(word) {
        found.extend(CELLS.iter().map(|layout| descriptor(layout, &bytes)));
        return Some(found.join("\n"));
    }
    registers(word, &mut found);
    codes(word, &mut found);
    constants(word, &mut found);
    for layout in outermost() {
        structure(layout, "", 0, layout, word, &mut found);
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

/// 32 hexadecimal digits in memory order, with or without spaces, colons or commas between bytes.
fn sixteen_bytes(word: &str) -> Option<[u8; 16]> {
    let digits: Option<Vec<u8>> = word
        .chars()
        .filter(|c| !matches!(c, ' ' | ':' | ','))
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    Some(core::array::from_fn(|i| digits[2 * i] << 4 | digits[2 * i + 1]))
}

fn parse_number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The first sentences of a declaration, on one line.
fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn descriptor(layout: &'static Layout, bytes: &[u8]) -> String {
    let shown = layout.decode(bytes).into_iter().filter(|leaf| leaf.value != 0);
    let shown: Vec<_> = shown.map(|leaf| format!("{} {}", leaf.path, number(leaf.value))).collect();
    let shown = if shown.is_empty() { "all fields 0".into() } else { shown.join("  ") };
    format!("as {}: {shown}\n", layout.name)
}

/// By name (`TXPROD`, `TXPROD[3]`, `bar0.TXPROD`), by page and offset (`bar0+0x600`), or by offset alone.
fn registers(word: &str, found: &mut Vec<String>) {
    let (page, rest) = word.split_once(['+', '.']).map_or((None, word), |(page, rest)| (Some(page), rest));
    let name = rest.split('[').next().unwrap_or(rest);
    let name = name.strip_prefix("VMXNET3_REG_").unwrap_or(name);
    for (label, (_, map)) in PAGES.iter().zip(REGISTERS) {
        if page.is_some_and(|page| !page.eq_ignore_ascii_case(label)) {
            continue;
        }
        // The large BAR0 begins with what the small one has: told there, unless it is asked for by its word.
        let again = |offset| page.is_none() && *label == "large" && Bar0::MAP.at(offset).is_some();
        let named = map.registers.iter().filter(|decl| decl.name.eq_ignore_ascii_case(name) && !again(decl.offset));
        for decl in named {
            found.push(register(label, map, decl, None));
        }
        let offset = parse_number(rest).and_then(|offset| u32::try_from(offset).ok());
        match offset.map(|offset| (offset, map.at(offset))) {
            Some((offset, Some(_))) if again(offset) => {}
            Some((_, Some((decl, index)))) => found.push(register(label, map, decl, Some(index))),
            Some((offset, None)) if page.is_some() => found.push(gap(label, map, offset)),
            _ => {}
        }
    }
}

fn register(label: &str, map: &RegisterMap, decl: &RegisterDecl, index: Option<u32>) -> String {
    let access = match decl.access {
        Access::Rw => "read and write",
        Access::Ro => "read only",
        Access::Wo => "write only",
        Access::W1c => "a written one clears",
        Access::Rc => "a read clears",
    };
    let index = index.filter(|_| decl.count > 1);
    let name = index.map_or(decl.name.to_string(), |index| format!("{}[{index}]", decl.name));
    let offset = decl.offset + index.unwrap_or(0) * decl.step;
    let array =
        if decl.count > 1 { format!(", one of {} every {} bytes", decl.count, decl.step) } else { String::new() };
    let (page, doc, reset) = (one_line(map.doc), one_line(decl.doc), number(decl.reset));
    format!(
        "register {label}.{name} at {label}+{offset:#05x}{array}; {access}, reset {reset}\n  {doc}\n  page: {page}\n"
    )
}

fn gap(label: &str, map: &RegisterMap, offset: u32) -> String {
    match map.gaps.iter().find(|gap| (gap.from..gap.to).contains(&offset)) {
        Some(gap) => format!("{label}+{offset:#05x}: nothing is declared from {:#x} to {:#x}\n", gap.from, gap.to),
        None if offset >= map.bytes => format!("{label}+{offset:#05x}: outside the page of {:#x} bytes\n", map.bytes),
        None => format!("{label}+{offset:#05x}: inside a register's slot, above its 4 bytes or off its start\n"),
    }
}

fn codes(word: &str, found: &mut Vec<String>) {
    let number = parse_number(word);
    let upper = word.to_ascii_uppercase();
    let mut table = |kind: &str, prefix: &str, width: usize, value: u64, name: &str, doc: &str| {
        let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_ascii_uppercase();
        if number == Some(value) || bare(name) == bare(&upper) {
            found.push(format!("{kind} {name} = {value:#0width$x}\n  {}\n", one_line(doc)));
        }
    };
    for &(value, name, doc) in Command::TABLE {
        table("command", "VMXNET3_CMD_", 10, u64::from(value), name, doc);
    }
    for &(value, name, doc) in QueueError::TABLE {
        table("queue error", "VMXNET3_ERR_", 10, u64::from(value), name, doc);
    }
    for &(value, name, doc) in Devcmd::TABLE {
        table("devcmd", "CMD_", 1, u64::from(value), name, doc);
    }
    for &(value, name, doc) in DevcmdError::TABLE {
        table("devcmd error", "ERR_", 1, value, name, doc);
    }
}

/// A named bit, value or bound, by its name alone: most numbers mean too much.
fn constants(word: &str, found: &mut Vec<String>) {
    for (_, table) in CONSTANTS.iter().chain(LIMITS) {
        let short =
            |name: &'static str| name.strip_prefix(table.name).map_or(name, |rest| rest.trim_start_matches('_'));
        for row in table
            .rows
            .iter()
            .filter(|row| [row.name, short(row.name)].iter().any(|name| name.eq_ignore_ascii_case(word)))
        {
            let kind = one_line(table.doc);
            found.push(format!(
                "constant {} = {}\n  {}\n  of: {kind}\n",
                row.name,
                number(row.value),
                one_line(row.doc)
            ));
        }
    }
}

/// A structure by its name, or any field in it by its name, nested ones with their path.
fn structure(outer: &Layout, prefix: &str, base: u32, layout: &'static Layout, word: &str, found: &mut Vec<String>) {
    let short = layout.name.split_once('_').map_or(layout.name, |(_, short)| short);
    if layout.name.eq_ignore_ascii_case(word) || short.eq_ignore_ascii_case(word) {
        found.push(table(outer, prefix, base, layout));
    }
    for field in layout.fields {
        let path = if prefix.is_empty() { field.name.to_string() } else { format!("{prefix}.{}", field.name) };
        let last = field.name.rsplit('.').next().unwrap_or(field.name);
        let asked = [last, field.name, &path].iter().any(|name| name.eq_ignore_ascii_case(word));
        if asked && !field.is_reserved() {
            let place = place(outer, base + field.low, field.bits);
            found.push(format!("field {path} of {} at {place}\n  {}\n", outer.name, one_line(field.doc)));
        }
        if let Some(inner) = within(field.kind) {
            let path = if matches!(field.kind, Kind::Array(..)) { format!("{path}[0]") } else { path };
            structure(outer, &path, base + field.low, inner, word, found);
        }
    }
}

fn table(outer: &Layout, prefix: &str, base: u32, layout: &Layout) -> String {
    let within = if prefix.is_empty() { String::new() } else { format!(", {prefix} of {}", outer.name) };
    let mut text =
        format!("structure {}, {} bytes{within}\n  {}\n", layout.name, layout.bits.div_ceil(8), one_line(layout.doc));
    for field in layout.fields.iter().filter(|field| !field.is_reserved()) {
        text += &format!(
            "  {:<12} {:<24} {}\n",
            place(outer, base + field.low, field.bits),
            field.name,
            one_line(field.doc)
        );
    }
    text
}

/// Bits within an integer, bytes within a longer structure.
fn place(outer: &Layout, low: u32, bits: u32) -> String {
    let whole_bytes = low.is_multiple_of(8) && bits.is_multiple_of(8);
    match (outer.bits > 128, bits) {
        (true, _) if whole_bytes => format!("+{} ({})", low / 8, bits / 8),
        (_, 1) => format!("bit {low}"),
        _ => format!("bits {}:{low}", low + bits - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(word: &str) -> String {
        explain(word).unwrap_or_else(|| panic!("{word} is not explained"))
    }

    #[test]
    fn a_register_is_found_by_name_and_by_place() {
        for word in ["TXPROD", "txprod[0]", "bar0.TXPROD", "VMXNET3_REG_TXPROD"] {
            assert!(says(word).starts_with("register bar0.TXPROD at bar0+0x600, one of 32 every 8 bytes"), "{word}");
        }
        assert!(says("bar0+0x608").starts_with("register bar0.TXPROD[1] at bar0+0x608"));
        assert!(says("0x600").contains("TXPROD[0]"));
        assert!(says("bar0+0x208").contains("nothing is declared"));
        assert!(says("bar0+0x9000").contains("outside the page"));
    }

    #[test]
    fn a_command_and_an_error_are_found_by_name_and_by_number() {
        for word in ["ACTIVATE_DEV", "activate_dev", "VMXNET3_CMD_ACTIVATE_DEV", "0xcafe0000"] {
            assert!(says(word).starts_with("command ACTIVATE_DEV = 0xcafe0000\n"), "{word}");
        }
        assert!(says("0x80000006").starts_with("queue error SWITCH = 0x80000006\n"));
        let (value, name, _) = Devcmd::TABLE[0];
        assert!(says(&value.to_string()).contains(&format!("devcmd {name} = {value:#x}\n")));
        assert!(says(name).contains(&format!("devcmd {name} = {value:#x}\n")));
        assert!(says("stats_dump").starts_with("devcmd CMD_STATS_DUMP = 0x4\n"));
    }

    #[test]
    fn structures_and_fields_are_found_by_the_vendors_names() {
        assert!(says("txRingBasePA").starts_with("field conf.txRingBasePA of Vmxnet3_TxQueueDesc at +16 (8)\n"));
        assert!(says("rxMode").starts_with("field devRead.rxFilterConf.rxMode of Vmxnet3_DriverShared at +120 (4)\n"));
        assert!(says("TxDesc").starts_with("structure Vmxnet3_TxDesc, 16 bytes\n"));
        assert!(says("gen").contains("field gen of Vmxnet3_RxDesc at bit 95\n"));
    }

    #[test]
    fn what_is_exported_is_explained() {
        for (_, layout) in STRUCTURES.iter().chain(DESCRIPTORS) {
            assert!(says(layout.name).contains(&format!("structure {}, ", layout.name)), "{}", layout.name);
        }
        for (_, table) in CONSTANTS.iter().chain(LIMITS) {
            for row in table.rows {
                assert!(says(row.name).contains(&format!("constant {} = ", row.name)), "{}", row.name);
            }
        }
        assert!(says("large+0x1000").starts_with("register large.LB_TXPROD[0] at large+0x1000"));
    }

    #[test]
    fn sixteen_bytes_are_read_as_each_descriptor() {
        let text = says("00 00 02 00 00 00 00 00 3c 40 00 00 00 30 00 00");
        assert!(text.starts_with("as Vmxnet3_TxDesc: addr 0x20000  len 60  gen 1  eop 1  cq 1\n"), "{text}");
        assert_eq!(text.matches("as Vmxnet3_").count(), 4);
    }

    #[test]
    fn what_no_table_has_is_none() {
        for word in ["", "frobnicate", "0xdeadbeef00", "bar7+0x0"] {
            assert_eq!(explain(word), None, "{word}");
        }
    }

    proptest::proptest! {
        /// Any text gets an answer or none.
        #[test]
        fn any_word_is_answered(word in "\\PC{0,40}") {
            let _ = explain(&word);
        }
    }
}
