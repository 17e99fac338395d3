//! Arguments as `key=value`, and why a command could not give a verdict.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Why there is no verdict.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Call(String),
    /// The network or the system refused.
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The pairs of one command line.
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Takes the words after the command; each holds one `=`.
    ///
    /// # Errors
    /// [`Failure::Call`] for a word without `=`.
    pub fn new(words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        words
            .map(|word| match word.split_once('=') {
                Some((key, value)) => Ok((key.to_string(), value.to_string())),
                None => Err(Failure::Call(format!("'{word}' is not key=value"))),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The value of `key`, or `default` when it is not given.
    ///
    /// # Errors
    /// [`Failure::Call`] for a value that does not parse.
    pub fn get<T: FromStr>(&self, key: &str, default: T) -> Result<T, Failure> {
        self.optional(key).map(|found| found.unwrap_or(default))
    }

    /// The value of `key` when it is given.
    ///
    /// # Errors
    /// [`Failure::Call`] for a value that does not parse.
    pub fn optional<T: FromStr>(&self, key: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.0.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::Call(format!("{key}={text} is not understood")))
    }

    /// The peer: `host` (IPv4 or IPv6) and `port`.
    ///
    /// # Errors
    /// [`Failure::Call`] without a `host`.
    pub fn peer(&self, port: u16) -> Result<SocketAddr, Failure> {
        let host: IpAddr = self.optional("host")?.ok_or_else(|| Failure::Call("host=ADDRESS is missing".into()))?;
        Ok(SocketAddr::new(host, self.get("port", port)?))
    }

    /// How long to go on without progress.
    ///
    /// # Errors
    /// [`Failure::Call`] for a value that is no number of seconds above 0.
    pub fn patience(&self) -> Result<Duration, Failure> {
        let seconds: u64 = self.get("seconds", 5)?;
        if seconds == 0 {
            return Err(Failure::Call("seconds=0 waits for nothing".into()));
        }
        Ok(Duration::from_secs(seconds))
    }
}
