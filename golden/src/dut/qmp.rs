//! QEMU's machine protocol, as little of it as a device under test needs: a greeting, commands that answer, a few events.
//!
//! Source: QEMU, docs/interop/qmp-spec.

use super::Trouble;
use super::lines::{Broken, Lines};
use rustix::fd::OwnedFd;
use serde_json::{Value, json};
use std::time::Duration;

/// Events passed over while an answer is awaited, at most.
const MAX_EVENTS: usize = 1000;

/// What a QEMU says of itself when one connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Major and minor number, with a dot.
    pub version: String,
    /// The whole version and who packed it.
    pub identity: String,
}

/// The asking side.
#[derive(Debug)]
pub(super) struct Qmp {
    lines: Lines,
    patience: Duration,
    /// How a migration last ended, until it is asked for.
    migrated: Option<Result<(), String>>,
}

impl Qmp {
    /// Over a connected stream socket: hears the greeting and is ready for commands.
    pub(super) fn open(socket: OwnedFd, patience: Duration) -> Result<(Self, Greeting), Trouble> {
        let mut qmp = Self { lines: Lines::new(socket), patience, migrated: None };
        let hello = qmp.next("the greeting")?;
        let number = |name| hello.pointer(&format!("/QMP/version/qemu/{name}")).and_then(Value::as_u64);
        let (Some(major), Some(minor), Some(micro)) = (number("major"), number("minor"), number("micro")) else {
            return Err(Trouble::Odd(format!("to the greeting: {}", short(&hello))));
        };
        let package = hello.pointer("/QMP/version/package").and_then(Value::as_str).unwrap_or("");
        let mut identity = format!("QEMU {major}.{minor}.{micro}");
        if !package.is_empty() {
            identity.push_str(&format!(" ({package})"));
        }
        qmp.run("qmp_capabilities", &json!({}), None)?;
        Ok((qmp, Greeting { version: format!("{major}.{minor}"), identity }))
    }

    fn next(&mut self, asked: &str) -> Result<Value, Trouble> {
        let line = self.lines.next(self.patience).map_err(|broken: Broken| broken.trouble(asked))?;
        let said: Value = serde_json::from_str(&line).map_err(|_| Trouble::Odd(format!("to {asked}: {line}")))?;
        if said.get("event").and_then(Value::as_str) == Some("MIGRATION") {
            match said.pointer("/data/status").and_then(Value::as_str) {
                Some("completed") => self.migrated = Some(Ok(())),
                Some("failed" | "cancelled") => self.migrated = Some(Err(short(&said))),
                _ => {}
            }
        }
        Ok(said)
    }

    /// Waits for the end of a migration, which the capability `events` makes known.
    pub(super) fn migrated(&mut self) -> Result<(), Trouble> {
        for _ in 0..MAX_EVENTS {
            if let Some(ended) = self.migrated.take() {
                return ended.map_err(|said| Trouble::Odd(format!("to the migration: {said}")));
            }
            self.next("the migration")?;
        }
        Err(Trouble::Hangs("the migration".into()))
    }

    /// Runs a command and waits for its answer and, where one is named, for an event; either may come first.
    pub(super) fn run(&mut self, command: &str, arguments: &Value, event: Option<&str>) -> Result<(), Trouble> {
        let text = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.lines.send(text.as_bytes(), self.patience).map_err(|broken| broken.trouble(command))?;
        let (mut answered, mut happened) = (false, event.is_none());
        for _ in 0..MAX_EVENTS {
            if answered && happened {
                return Ok(());
            }
            let said = self.next(command)?;
            match said.get("event") {
                Some(name) => happened |= name.as_str() == event,
                None if said.get("return").is_some() => answered = true,
                None => return Err(Trouble::Odd(format!("to {command}: {}", short(&said)))),
            }
        }
        Err(Trouble::Hangs(command.into()))
    }
}

/// At most 400 characters of what was said.
fn short(said: &Value) -> String {
    said.to_string().chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    const HELLO: &str = concat!(
        r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}, "capabilities": []}}"#,
        "\r\n{\"return\": {}}\r\n"
    );

    fn says(text: &str) -> (Result<(Qmp, Greeting), Trouble>, UnixStream) {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut server = UnixStream::from(theirs);
        server.write_all(text.as_bytes()).unwrap();
        (Qmp::open(ours, Duration::from_millis(200)), server)
    }

    #[test]
    fn the_greeting_names_the_version() {
        let (opened, _server) = says(HELLO);
        let greeting = opened.unwrap().1;
        assert_eq!((&*greeting.version, &*greeting.identity), ("7.2", "QEMU 7.2.22 (Debian 1:7.2)"));
    }

    #[test]
    fn an_answer_and_an_event_come_in_either_order() {
        for text in
            ["{\"event\":\"X\"}\n{\"event\":\"RESET\"}\n{\"return\":{}}\n", "{\"return\":{}}\n{\"event\":\"RESET\"}\n"]
        {
            let (opened, mut server) = says(HELLO);
            server.write_all(text.as_bytes()).unwrap();
            let mut qmp = opened.unwrap().0;
            assert_eq!(qmp.run("system_reset", &json!({}), Some("RESET")), Ok(()));
            assert_eq!(qmp.run("stop", &json!({}), None), Err(Trouble::Hangs("stop".into())), "all was taken");
        }
        for half in ["{\"return\":{}}\n", "{\"event\":\"RESET\"}\n"] {
            let (opened, mut server) = says(HELLO);
            server.write_all(half.as_bytes()).unwrap();
            let late = opened.unwrap().0.run("system_reset", &json!({}), Some("RESET"));
            assert_eq!(late, Err(Trouble::Hangs("system_reset".into())), "{half}");
        }
    }

    #[test]
    fn the_end_of_a_migration_is_heard_whenever_it_comes() {
        let event = |status| format!("{{\"event\":\"MIGRATION\",\"data\":{{\"status\":\"{status}\"}}}}\n");
        let (opened, mut server) = says(HELLO);
        let mut qmp = opened.unwrap().0;
        server.write_all((event("setup") + &event("completed") + "{\"return\":{}}\n").as_bytes()).unwrap();
        assert_eq!(qmp.run("migrate", &json!({}), None), Ok(()));
        assert_eq!(qmp.migrated(), Ok(()), "it ended before its command was answered");
        server.write_all((event("active") + &event("failed")).as_bytes()).unwrap();
        assert!(matches!(qmp.migrated(), Err(Trouble::Odd(said)) if said.contains("failed")));
        assert_eq!(qmp.migrated(), Err(Trouble::Hangs("the migration".into())));
    }

    #[test]
    fn a_refusal_and_nonsense_are_odd_and_an_end_is_an_end() {
        for text in ["{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}\n", "nonsense\n", "[]\n", "7\n"] {
            let (opened, mut server) = says(HELLO);
            server.write_all(text.as_bytes()).unwrap();
            assert!(matches!(opened.unwrap().0.run("stop", &json!({}), None), Err(Trouble::Odd(_))), "{text}");
        }
        for text in ["{}\n", "{\"QMP\":{\"version\":{\"qemu\":{\"major\":-1}}}}\n", "nonsense\n"] {
            assert!(matches!(says(text).0, Err(Trouble::Odd(_))), "{text}");
        }
        let (opened, server) = says(HELLO);
        drop(server);
        assert!(matches!(opened.unwrap().0.run("stop", &json!({}), None), Err(Trouble::Gone(_))));
    }
}
