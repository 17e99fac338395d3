//! Any program as a device under test: it is started, asked in JSON lines on its standard input, and answers on its standard output.
//!
//! What it says on standard error is kept for the case that it ends. It is started afresh for each conversation, so it need not know
//! how to become as new; it should end when its standard input does.

use super::lines::{Broken, Lines};
use super::process::Process;
use super::protocol::{Answer, Ask, Hex, MOST_BYTES, MOST_LINE, VERSION};
use super::{About, Dut, Lack, Seen, Trouble};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use spec::event::Bar;
use std::collections::VecDeque;
use std::time::Duration;

/// How long one answer may take when nothing else is said.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Answers to `settle` that are taken one after the other.
const MOST_ROUNDS: usize = 4096;

/// Bytes of requests that are kept for [`Dut::script`].
const MOST_SCRIPT: usize = 4 << 20;

/// A program that speaks the protocol of tests/schema/dut-1.json. It is ended with this value.
#[derive(Debug)]
pub struct Program {
    about: About,
    cannot: Vec<Lack>,
    process: Process,
    lines: Lines,
    patience: Duration,
    script: Script,
    /// What ended the conversation.
    over: Option<Trouble>,
}

/// The requests so far, the oldest forgotten when there are too many bytes of them.
#[derive(Debug, Default)]
struct Script {
    lines: VecDeque<String>,
    bytes: usize,
    forgotten: usize,
}

impl Script {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MOST_SCRIPT {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
            self.forgotten += 1;
        }
    }
}

impl Program {
    /// Starts the program that `command` names, with its arguments, and asks what it is.
    ///
    /// # Errors
    /// [`Trouble::Start`] with its last words when it does not start or says what no device can be, or what [`Dut`] says.
    pub fn start(command: &[String]) -> Result<Self, Trouble> {
        Self::with(command, PATIENCE)
    }

    /// As [`Program::start`]; each answer may take as long as `patience`.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn with(command: &[String], patience: Duration) -> Result<Self, Trouble> {
        let start = |error: std::io::Error| Trouble::Start(format!("{}: {error}", command.join(" ")));
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(|errno| start(errno.into()))?;
        let process = Process::talking(command, theirs).map_err(start)?;
        Self::introduced(process, ours, patience)
    }

    fn introduced(process: Process, socket: OwnedFd, patience: Duration) -> Result<Self, Trouble> {
        let about = About {
            name: String::new(),
            identity: String::new(),
            version: String::new(),
            base: 0,
            bytes: 0,
            mac: [0; 6],
            vectors: 0,
        };
        let lines = Lines::with_room(socket, MOST_LINE);
        let (script, cannot) = (Script::default(), Vec::new());
        let mut program = Self { about, cannot, process, lines, patience, script, over: None };
        let answer = program.ask(&Ask::About { protocol: VERSION }).map_err(|trouble| match trouble {
            Trouble::Gone(how) => Trouble::Start(how),
            Trouble::Odd(what) => Trouble::Start(what),
            other => other,
        })?;
        let said = answer.about.ok_or_else(|| Trouble::Start("it says nothing about itself".into()))?;
        (program.about, program.cannot) = said.check()?;
        Ok(program)
    }

    /// One request and its answer. After the first trouble nothing is asked any more.
    fn ask(&mut self, ask: &Ask) -> Result<Answer, Trouble> {
        if let Some(over) = &self.over {
            return Err(over.clone());
        }
        let answer = self.exchange(ask);
        match answer {
            Err(Trouble::Cannot(_)) | Ok(_) => {}
            Err(ref trouble) => self.over = Some(trouble.clone()),
        }
        answer
    }

    fn exchange(&mut self, ask: &Ask) -> Result<Answer, Trouble> {
        let name = ask.name();
        let mut line = serde_json::to_string(ask).map_err(|error| Trouble::Odd(error.to_string()))?;
        line.push('\n');
        let sent = self.lines.send(line.as_bytes(), self.patience);
        self.script.push(line);
        let answer = sent.and_then(|()| self.lines.next(self.patience)).map_err(|broken| match broken {
            Broken::Closed => Trouble::Gone(self.process.end(self.patience)),
            other => other.trouble(name),
        })?;
        let shown = || answer.chars().take(200).collect::<String>();
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|error| Trouble::Odd(format!("to {name}: {} ({error})", shown())))?;
        match answer {
            Answer { error: Some(error), .. } => {
                Err(Trouble::Odd(format!("to {name}: {}", error.chars().take(2000).collect::<String>())))
            }
            Answer { cannot: Some(lack), .. } => Err(Trouble::Cannot(lack)),
            answer => Ok(answer),
        }
    }

    /// A request that is answered `{}`.
    fn order(&mut self, ask: &Ask) -> Result<(), Trouble> {
        let answer = self.ask(ask)?;
        if answer == Answer::default() { Ok(()) } else { self.odd(ask, "an answer to another request") }
    }

    fn odd<T>(&mut self, ask: &Ask, what: &str) -> Result<T, Trouble> {
        let trouble = Trouble::Odd(format!("to {}: {what}", ask.name()));
        self.over = Some(trouble.clone());
        Err(trouble)
    }
}

const fn number(bar: Bar) -> u8 {
    match bar {
        Bar::Bar0 => 0,
        Bar::Bar1 => 1,
        Bar::Bar2 => 2,
    }
}

impl Dut for Program {
    fn about(&self) -> &About {
        &self.about
    }

    fn cannot(&self) -> &[Lack] {
        &self.cannot
    }

    fn read(&mut self, bar: Bar, offset: u32, width: u8) -> Result<u64, Trouble> {
        let ask = Ask::Read { bar: number(bar), offset, width };
        let fits = |value: &u64| width >= 8 || value >> (8 * u32::from(width)) == 0;
        match self.ask(&ask)?.value {
            Some(value) if fits(&value) => Ok(value),
            Some(value) => self.odd(&ask, &format!("{value:#x} has more than {width} bytes")),
            None => self.odd(&ask, "no value"),
        }
    }

    fn write(&mut self, bar: Bar, offset: u32, width: u8, value: u64) -> Result<(), Trouble> {
        self.order(&Ask::Write { bar: number(bar), offset, width, value })
    }

    fn load(&mut self, pa: u64, into: &mut [u8]) -> Result<(), Trouble> {
        let mut at = pa;
        for part in into.chunks_mut(MOST_BYTES) {
            let ask = Ask::Load { pa: at, bytes: part.len() };
            match self.ask(&ask)?.hex {
                Some(Hex(bytes)) if bytes.len() == part.len() => part.copy_from_slice(&bytes),
                Some(Hex(bytes)) => return self.odd(&ask, &format!("{} bytes, not {}", bytes.len(), part.len())),
                None => return self.odd(&ask, "no bytes"),
            }
            at = at.wrapping_add(part.len() as u64);
        }
        Ok(())
    }

    fn store(&mut self, pa: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let mut at = pa;
        for part in bytes.chunks(MOST_BYTES) {
            self.order(&Ask::Store { pa: at, hex: Hex(part.to_vec()) })?;
            at = at.wrapping_add(part.len() as u64);
        }
        Ok(())
    }

    fn offer(&mut self, frame: &[u8]) -> Result<(), Trouble> {
        self.order(&Ask::Offer { hex: Hex(frame.to_vec()) })
    }

    fn settle(&mut self, seen: &mut Vec<Seen>) -> Result<(), Trouble> {
        for _ in 0..MOST_ROUNDS {
            let answer = self.ask(&Ask::Settle)?;
            let Some(events) = answer.seen else { return self.odd(&Ask::Settle, "nothing of what was seen") };
            seen.extend(events.into_iter().map(Seen::from));
            if answer.more != Some(true) {
                return Ok(());
            }
        }
        let trouble = Trouble::Hangs("it never comes to rest".into());
        self.over = Some(trouble.clone());
        Err(trouble)
    }

    fn link(&mut self, up: bool) -> Result<(), Trouble> {
        self.order(&Ask::Link { up })
    }

    fn reset(&mut self) -> Result<(), Trouble> {
        self.order(&Ask::Reset)
    }

    fn bus_master(&mut self, on: bool) -> Result<(), Trouble> {
        self.order(&Ask::BusMaster { on })
    }

    /// The requests, a line each, for its standard input.
    fn script(&self) -> String {
        let mut text = String::with_capacity(self.script.bytes);
        if self.script.forgotten > 0 {
            text += &format!("# {} requests are left out here\n", self.script.forgotten);
        }
        text.extend(self.script.lines.iter().map(String::as_str));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const ABOUT: &str = r#"{"about":{"protocol":1,"name":"shell","identity":"a shell 1","version":"1.0","base":4096,"bytes":1048576,"mac":"00:0c:29:12:34:56","vectors":1,"cannot":["link"]}}"#;

    /// A program that says these lines, one to a request, and then does `last`.
    fn says(lines: &[&str], last: &str) -> Result<Program, Trouble> {
        let told: String = lines.iter().map(|line| format!("read -r _; printf '%s\\n' '{line}'; ")).collect();
        Program::with(&["sh".into(), "-c".into(), format!("{told}{last}")], SHORT)
    }

    #[test]
    fn it_is_what_it_says_it_is() {
        let mut program =
            says(&[ABOUT, r#"{"value":7}"#, r#"{"cannot":"link"}"#, "{}"], "exec cat >/dev/null").unwrap();
        assert_eq!((program.about().name.as_str(), program.cannot()), ("shell", &[Lack::Link][..]));
        assert_eq!(program.read(Bar::Bar1, 8, 4), Ok(7));
        assert_eq!(program.link(true), Err(Trouble::Cannot(Lack::Link)));
        assert_eq!(program.reset(), Ok(()), "what it cannot do does not end the conversation");
        assert!(program.script().ends_with("{\"do\":\"link\",\"up\":true}\n{\"do\":\"reset\"}\n"));
    }

    #[test]
    fn one_that_does_not_answer_hangs_and_is_not_asked_again() {
        let mut program = says(&[ABOUT], "exec cat >/dev/null").unwrap();
        assert_eq!(program.reset(), Err(Trouble::Hangs("reset".into())));
        assert_eq!(program.read(Bar::Bar0, 0, 4), Err(Trouble::Hangs("reset".into())));
        assert_eq!(program.script().lines().count(), 2);
    }

    #[test]
    fn one_that_dribbles_hangs_too() {
        let mut program = says(&[ABOUT], "while :; do printf x; sleep 0.05; done").unwrap();
        assert_eq!(program.reset(), Err(Trouble::Hangs("reset".into())));
    }

    #[test]
    fn one_that_ends_is_gone_with_its_last_words() {
        let mut program = says(&[ABOUT], "echo 'out of luck' >&2; exit 3").unwrap();
        let Err(Trouble::Gone(how)) = program.reset() else { panic!("it has ended") };
        assert_eq!(how, "exit status: 3; it said: out of luck");
        let Err(Trouble::Start(how)) = says(&[], "echo 'no such chip' >&2; exit 1") else { panic!("it has ended") };
        assert_eq!(how, "exit status: 1; it said: no such chip");
    }

    #[test]
    fn what_is_no_answer_is_odd() {
        for (line, says_of_it) in [
            ("hello", "to reset: hello"),
            (r#"{"value":1}"#, "to reset: an answer to another request"),
            (r#"{"error":"no way"}"#, "to reset: no way"),
        ] {
            let mut program = says(&[ABOUT, line], "exec cat >/dev/null").unwrap();
            let Err(Trouble::Odd(what)) = program.reset() else { panic!("{line}") };
            assert!(what.starts_with(says_of_it), "{what}");
        }
        let mut wide = says(&[ABOUT, r#"{"value":256}"#], "exec cat >/dev/null").unwrap();
        assert!(matches!(wide.read(Bar::Bar1, 0, 1), Err(Trouble::Odd(_))));
        let mut short = says(&[ABOUT, r#"{"hex":"00"}"#], "exec cat >/dev/null").unwrap();
        assert!(matches!(short.load(4096, &mut [0; 2]), Err(Trouble::Odd(_))));
    }

    #[test]
    fn an_answer_without_an_end_is_bounded() {
        let mut program = says(&[ABOUT], "exec cat /dev/zero").unwrap();
        assert!(matches!(program.reset(), Err(Trouble::Odd(what)) if what.contains("without an end")));
    }

    #[test]
    fn one_that_never_comes_to_rest_is_told() {
        let command =
            format!("read -r _; echo '{ABOUT}'; while read -r _; do echo '{{\"seen\":[],\"more\":true}}'; done");
        let mut program = Program::with(&["sh".into(), "-c".into(), command], PATIENCE).unwrap();
        assert_eq!(program.settle(&mut Vec::new()), Err(Trouble::Hangs("it never comes to rest".into())));
    }

    #[test]
    fn what_does_not_start_says_why() {
        let none = Program::start(&["/nowhere/device".into()]).unwrap_err();
        assert!(matches!(&none, Trouble::Start(why) if why.starts_with("/nowhere/device: ")), "{none}");
        let wrong = says(&[&ABOUT.replace("1048576", "12")], "exec cat >/dev/null").unwrap_err();
        assert!(matches!(&wrong, Trouble::Start(why) if why.contains("bytes is 12")), "{wrong}");
    }

    #[test]
    fn the_script_is_bounded_and_says_so() {
        let mut script = Script::default();
        for _ in 0..100 {
            script.push("x".repeat(1 << 16));
        }
        assert!(script.bytes <= MOST_SCRIPT && script.forgotten == 36, "{}", script.forgotten);
    }
}
