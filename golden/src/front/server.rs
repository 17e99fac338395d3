//! The loop of a front: a hypervisor, a host, orders.

use super::relay::{HostError, Relay};
use super::relocate::Step;
use crate::serve::orders::{Control, Told};
use crate::vfio_user::{BindError, Errno, Hangup, Listener, Session};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::retry_on_intr;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Why a front does not run.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// A socket cannot be made.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kernel refuses.
    #[error("{what}: {errno}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        errno: Errno,
    },
}

/// What happened, for whoever keeps a log.
#[derive(Debug)]
pub enum Event<'a> {
    /// A hypervisor connected, and its device is backed.
    Connected {
        /// Socket of the host.
        host: &'a Path,
    },
    /// A hypervisor connected and no host backs its device.
    NoHost {
        /// Why.
        error: &'a HostError,
    },
    /// A second one was turned away.
    TurnedAway {
        /// How many.
        count: u32,
    },
    /// The hypervisor is gone.
    Gone {
        /// Why.
        why: Hangup,
    },
    /// The host is gone: the hypervisor's device has failed.
    HostGone {
        /// Socket of the host.
        host: &'a Path,
    },
    /// An order was carried out, or not.
    Order(Told<'a>),
}

impl std::fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connected { host } => write!(f, "a hypervisor connected, host {}", host.display()),
            Self::NoHost { error } => write!(f, "a hypervisor was turned away: {error}"),
            Self::TurnedAway { count } => write!(f, "turned {count} away, a hypervisor is served"),
            Self::Gone { why } => write!(f, "the hypervisor is gone: {why}"),
            Self::HostGone { host } => write!(f, "host {} is gone", host.display()),
            Self::Order(Told { request, answer }) => write!(f, "order {request} answered {answer}"),
        }
    }
}

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    Status,
    Move {
        to: PathBuf,
        #[serde(default)]
        fail: Option<String>,
    },
    Quit,
}

/// A front: where the hypervisor connects, and which host backs its device.
#[derive(Debug)]
pub struct Front {
    listener: Listener,
    control: Option<Control>,
    /// The host for the next hypervisor, or for this one.
    host: PathBuf,
    served: Option<(Session, Relay)>,
    moves: u64,
    failed: u64,
}

impl Front {
    /// Takes a hypervisor at `socket` and orders at `control`; the host at `host` backs the device at first.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn new(socket: &Path, control: Option<&Path>, host: &Path) -> Result<Self, FrontError> {
        let listener = Listener::bind(socket)?;
        let control = control.map(Control::bind).transpose()?;
        Ok(Self { listener, control, host: host.into(), served: None, moves: 0, failed: 0 })
    }

    /// Waits until something happens, and does what there is to do. False: it is to end, by order or because `stop` is readable.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn turn(&mut self, stop: Option<BorrowedFd<'_>>, tell: &mut dyn FnMut(Event<'_>)) -> Result<bool, FrontError> {
        let system = |what| move |errno| FrontError::System { what, errno };
        let (stopped, knocks) = self.wait(stop).map_err(system("poll"))?;
        self.serve(knocks, tell).map_err(system("accept"))?;
        let mut stay = true;
        if let Some(mut control) = self.control.take() {
            let mut obey = |line: &str| self.obey(line, &mut stay);
            control.serve(&mut obey, &mut |told| tell(Event::Order(told)));
            self.control = Some(control);
        }
        Ok(stay && !stopped)
    }

    fn wait(&self, stop: Option<BorrowedFd<'_>>) -> Result<(bool, bool), Errno> {
        let mut fds = Vec::with_capacity(16);
        fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN));
        fds.extend(stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
        if let Some((session, relay)) = &self.served {
            fds.push(PollFd::from_borrowed_fd(session.as_fd(), session.interest()));
            fds.push(PollFd::from_borrowed_fd(relay.host_fd(), PollFlags::IN));
        }
        if let Some(control) = &self.control {
            control.waits(&mut fds);
        }
        retry_on_intr(|| poll(&mut fds, None))?;
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok((stop.is_some() && ready(1), ready(0)))
    }

    fn serve(&mut self, knocks: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Errno> {
        match &mut self.served {
            None if !knocks => {}
            None => {
                let Some(peer) = self.listener.accept()? else { return Ok(()) };
                match Relay::connect(&self.host) {
                    Ok(relay) => {
                        self.served = Some((Session::new(peer), relay));
                        tell(Event::Connected { host: &self.host });
                    }
                    Err(error) => tell(Event::NoHost { error: &error }),
                }
            }
            Some((session, relay)) => {
                // Between two messages a host says nothing: what is readable is its end.
                let pumped = session.pump(relay);
                if relay.is_lost() || relay.host_is_gone() {
                    self.served = None;
                    tell(Event::HostGone { host: &self.host });
                } else if let Err(why) = pumped {
                    self.served = None;
                    tell(Event::Gone { why });
                } else if knocks && !session.peer_closed() {
                    let count = self.listener.turn_away()?;
                    if count > 0 {
                        tell(Event::TurnedAway { count });
                    }
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self, line: &str, stay: &mut bool) -> Result<Value, String> {
        match serde_json::from_str(line).map_err(|error| error.to_string())? {
            Order::Status => {
                let (maps, eventfds) = self.served.as_ref().map_or((0, 0), |(_, relay)| relay.remembered());
                Ok(json!({
                    "host": self.host, "connected": self.served.is_some(), "maps": maps, "eventfds": eventfds,
                    "moves": self.moves, "failed": self.failed,
                }))
            }
            Order::Move { to, fail } => {
                let step = |name: String| Step::by_name(&name).ok_or(format!("fail: no step is called {name:?}"));
                let fail = fail.map(step).transpose()?;
                let (_, relay) = self.served.as_mut().ok_or("no hypervisor is connected")?;
                match relay.relocate(&to, fail) {
                    Ok(report) => {
                        self.host = to;
                        self.moves += 1;
                        serde_json::to_value(report).map_err(|error| error.to_string())
                    }
                    Err(error) => {
                        self.failed += 1;
                        let lost = if relay.is_lost() { "; the source does not go on either" } else { "" };
                        Err(format!("{error}{lost}"))
                    }
                }
            }
            Order::Quit => {
                *stay = false;
                Ok(json!({}))
            }
        }
    }
}
