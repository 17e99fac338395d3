//! A conversation kept as text that repeats it: the memory it began with, the set-up, and every request after that.

use super::qtest::Ask;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Requests that are kept; older ones are forgotten and counted.
const MAX_TOLD: usize = 100_000;

/// Bytes of stores and frames that are kept along with them.
const MAX_BYTES: usize = 16 << 20;

/// Bytes of memory on one line at most.
const LINE_BYTES: usize = 4096;

#[derive(Clone, Debug)]
enum Told {
    Ask(Ask),
    Store(u64, Vec<u8>),
    Offer(Vec<u8>),
    /// Something done by another road, in words.
    Aside(String),
}

impl Told {
    fn bytes(&self) -> usize {
        match self {
            Self::Store(_, bytes) | Self::Offer(bytes) => bytes.len(),
            Self::Ask(_) | Self::Aside(_) => 0,
        }
    }
}

/// What was said since the device was set up last.
#[derive(Debug)]
pub(super) struct Script {
    /// Comment lines: how to make a device that these words fit.
    head: String,
    base: u64,
    /// Memory from `base` on as it was before the first request.
    before: Vec<u8>,
    setup: Vec<Ask>,
    /// The set-up is over.
    ready: bool,
    told: VecDeque<Told>,
    bytes: usize,
    forgotten: u64,
}

impl Script {
    /// For a device with `bytes` of zeroed memory at `base`, in set-up; `head` is put before the lines, as comments.
    pub(super) fn new(head: &str, base: u64, bytes: usize) -> Self {
        Self {
            head: head.lines().map(|line| format!("# {line}\n")).collect(),
            base,
            before: vec![0; bytes],
            setup: Vec::new(),
            ready: false,
            told: VecDeque::new(),
            bytes: 0,
            forgotten: 0,
        }
    }

    /// Begins anew with a set-up: `memory` fills in what the memory holds now.
    pub(super) fn restart(&mut self, memory: impl FnOnce(&mut [u8])) {
        let Self { head: _, base: _, before, setup, ready, told, bytes, forgotten } = self;
        memory(before);
        setup.clear();
        told.clear();
        (*ready, *bytes, *forgotten) = (false, 0, 0);
    }

    /// The set-up is over.
    pub(super) fn ready(&mut self) {
        self.ready = true;
    }

    /// A request.
    pub(super) fn ask(&mut self, asked: Ask) {
        if self.ready { self.tell(Told::Ask(asked)) } else { self.setup.push(asked) }
    }

    /// A store of the driver's. Before the first request it is part of the memory that is found.
    pub(super) fn store(&mut self, pa: u64, bytes: &[u8]) {
        let at = usize::try_from(pa.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let place = at.checked_add(bytes.len()).and_then(|end| self.before.get_mut(at..end));
        match place {
            Some(place) if self.told.is_empty() && self.forgotten == 0 => place.copy_from_slice(bytes),
            _ => self.tell(Told::Store(pa, bytes.to_vec())),
        }
    }

    /// A frame on the wire.
    pub(super) fn offer(&mut self, frame: &[u8]) {
        self.tell(Told::Offer(frame.to_vec()));
    }

    /// Something done by another road than this protocol.
    pub(super) fn aside(&mut self, words: &str) {
        self.tell(Told::Aside(words.to_owned()));
    }

    fn tell(&mut self, told: Told) {
        self.bytes += told.bytes();
        self.told.push_back(told);
        while self.told.len() > MAX_TOLD || self.bytes > MAX_BYTES {
            let Some(oldest) = self.told.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.forgotten += 1;
        }
    }

    /// The whole as text, a request a line; what is no request is a comment.
    pub(super) fn text(&self) -> String {
        let mut text = self.head.clone();
        for ask in &self.setup {
            line(&mut text, ask);
        }
        text.push_str("# set up; the memory it finds:\n");
        memory(&mut text, self.base, &self.before);
        if self.forgotten > 0 {
            line(&mut text, format_args!("# {} requests are left out here", self.forgotten));
        }
        for told in &self.told {
            match told {
                Told::Ask(ask) => line(&mut text, ask),
                Told::Store(pa, bytes) => store(&mut text, *pa, bytes),
                Told::Offer(frame) => {
                    let _infallible = write!(text, "# offered, {} bytes: ", frame.len());
                    hex(&mut text, frame);
                    text.push('\n');
                }
                Told::Aside(words) => line(&mut text, format_args!("# {words}")),
            }
        }
        text
    }
}

fn line(text: &mut String, words: impl std::fmt::Display) {
    let _infallible = writeln!(text, "{words}");
}

fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('?'));
        }
    }
}

/// The byte that all of `bytes` are.
fn even(bytes: &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    rest.iter().all(|&byte| byte == first).then_some(first)
}

/// Lines that make memory which was zero hold `bytes`.
fn memory(text: &mut String, base: u64, bytes: &[u8]) {
    let mut at = 0;
    while let Some(page) = bytes.get(at..).and_then(|rest| rest.chunks(LINE_BYTES).next()) {
        let mut end = at + page.len();
        match even(page) {
            Some(fill) => {
                while let Some(next) = bytes.get(end..).and_then(|rest| rest.chunks(LINE_BYTES).next())
                    && even(next) == Some(fill)
                {
                    end += next.len();
                }
                if fill != 0 {
                    line(text, format_args!("memset {:#x} {:#x} {fill:#x}", base + at as u64, end - at));
                }
            }
            None => store(text, base + at as u64, page),
        }
        at = end;
    }
}

fn store(text: &mut String, mut pa: u64, bytes: &[u8]) {
    if let Some(fill) = even(bytes).filter(|_| bytes.len() > 16) {
        line(text, format_args!("memset {pa:#x} {:#x} {fill:#x}", bytes.len()));
        return;
    }
    for part in bytes.chunks(LINE_BYTES) {
        let _infallible = write!(text, "write {pa:#x} {:#x} 0x", part.len());
        hex(text, part);
        text.push('\n');
        pa = pa.wrapping_add(part.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        let mut script = Script::new("a device\nof two lines", 0x10_0000, 0x8000);
        script.ask(Ask::Out(4, 0xcf8, 0x8000_2810));
        script.ready();
        script
    }

    #[test]
    fn it_begins_with_how_to_begin_and_the_memory_found() {
        let mut script = script();
        script.store(0x10_1000, &[0xa5; 0x2001]);
        script.store(0x10_1004, &[1, 2]);
        script.ask(Ask::Read(4, 0xe000_0000));
        script.store(0x10_0010, &[3, 4]);
        script.store(0x10_0000, &[0; 0x1000]);
        script.offer(&[0xff, 0]);
        script.aside("the link goes down");
        script.store(0, &[9]);
        let page: String = [0xa5; 4].iter().chain(&[1, 2]).chain(&[0xa5; 0xffa]).map(|b| format!("{b:02x}")).collect();
        let last: String = [0xa5; 1].iter().chain(&[0; 0xfff]).map(|b| format!("{b:02x}")).collect();
        let lines = [
            "# a device".into(),
            "# of two lines".into(),
            "outl 0xcf8 0x80002810".into(),
            "# set up; the memory it finds:".into(),
            format!("write 0x101000 0x1000 0x{page}"),
            "memset 0x102000 0x1000 0xa5".into(),
            format!("write 0x103000 0x1000 0x{last}"),
            "readl 0xe0000000".into(),
            "write 0x100010 0x2 0x0304".into(),
            "memset 0x100000 0x1000 0x0".into(),
            "# offered, 2 bytes: ff00".into(),
            "# the link goes down".into(),
            "write 0x0 0x1 0x09".into(),
        ];
        assert_eq!(script.text().lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_restart_keeps_the_memory_alone() {
        let mut script = script();
        script.ask(Ask::Read(4, 0));
        script.restart(|memory| memory.fill(7));
        script.ask(Ask::In(1, 1));
        script.ready();
        let text = script.text();
        assert!(
            text.ends_with("of two lines\ninb 0x1\n# set up; the memory it finds:\nmemset 0x100000 0x8000 0x7\n"),
            "{text}"
        );
    }

    #[test]
    fn it_is_bounded_and_says_so() {
        let mut script = script();
        for at in 0..MAX_TOLD as u64 + 5 {
            script.ask(Ask::Read(1, at));
        }
        let text = script.text();
        assert!(text.contains("# 5 requests are left out here\nreadb 0x5\n"));
        assert!(text.ends_with(&format!("readb {:#x}\n", MAX_TOLD + 4)));
        for _ in 0..40 {
            script.store(0x10_0000, &[1; 0x8_0000]);
        }
        assert!(script.bytes <= MAX_BYTES && script.told.len() == 32);
        assert_eq!(script.forgotten, MAX_TOLD as u64 + 5 + 8);
    }
}
