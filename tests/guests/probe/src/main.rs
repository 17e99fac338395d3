//! Traffic with a verdict, for the inside of a guest: closed-loop round trips, numbered datagrams and checked TCP streams.
//!
//! Arguments are `key=value`; the answer is one line of `key=value` pairs on standard output. Exit status 0: what was asked
//! for held; 1: it did not (lost, doubled, reordered or damaged data, or an error); 2: the call is wrong.

mod agent;
mod arguments;
mod sequence;
mod tcp;
mod udp;

use arguments::Arguments;
use std::process::ExitCode;

const HELP: &str = "probe COMMAND key=value...
  agent     line=DEVICE                             runs the commands that arrive on a serial line
  ping      host port=7 count=1000 size=64          closed loop of UDP echoes: round trip percentiles
  echo      host port=7 count=1000 size=64 rate=0   numbered datagrams out and back, both ways judged; rate per second, 0 = window only
            window=32 until=FILE                    at most so many under way; ends early once FILE exists
  udp-send  host port=9 count=1000 size=64 rate=0   numbered datagrams one way
            until=FILE                              ends early once FILE exists
  udp-sink  port count=1000 seconds=10 group=ADDRESS interface=ADDRESS   receives and judges; joins a multicast group
  blast     host port=19 count=1000 size=64 rate=0  asks for numbered datagrams and judges what arrives
  tcp-echo  host port=7 mib=8 window=131072         a stream there and back, every byte checked; at most window bytes under way
  tcp-send  host port=9 mib=64                      throughput out
  tcp-sink  host port=19 mib=64                     throughput in
            kib=N                                   so many KiB instead, for any stream
  any       seconds=N  gives up after so long without progress; any stream also reports retransmissions";

/// What a command found: pairs to print, and whether it held.
pub struct Verdict {
    /// `key=value` pairs in the order they are printed.
    pub pairs: Vec<(&'static str, u64)>,
    /// Whether everything that was asked for held.
    pub holds: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = Arguments::new(words).and_then(|arguments| match command.as_str() {
        "agent" => agent::serve(&arguments),
        "ping" => udp::ping(&arguments),
        "echo" => udp::echo(&arguments),
        "udp-send" => udp::send(&arguments),
        "udp-sink" => udp::sink(&arguments),
        "blast" => udp::blast(&arguments),
        "tcp-echo" => tcp::echo(&arguments),
        "tcp-send" => tcp::send(&arguments),
        "tcp-sink" => tcp::sink(&arguments),
        _ => Err(arguments::Failure::Call(format!("no command '{command}'\n{HELP}"))),
    });
    match outcome {
        Ok(verdict) => {
            let line: Vec<_> = verdict.pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            println!("{} holds={}", line.join(" "), u8::from(verdict.holds));
            ExitCode::from(u8::from(!verdict.holds))
        }
        Err(arguments::Failure::Call(words)) => {
            eprintln!("probe: {words}");
            ExitCode::from(2)
        }
        Err(arguments::Failure::Io(error)) => {
            println!("error={:?} {error} holds=0", error.kind());
            ExitCode::from(1)
        }
    }
}
