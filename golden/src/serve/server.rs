//! The loop around served devices: peers, wires and orders, one thread, nothing that blocks but the wait for all of them.

use super::control;
use super::device::Served;
use super::engine::{Engine, Kind, Path};
use super::orders::Control;
use super::pace::LOOK;
use super::wire::{MAX_WAITS, Waits, Wire};
use crate::trace::Watched;
use crate::vfio_user::{BindError, Errno, Hangup, Listener, LiveMemory, Session, Shrinking};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::retry_on_intr;
use spec::profile::Profile;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often that of a guest is looked at which has done nothing for [`QUIET`].
const LOOK_QUIET: Duration = Duration::from_micros(100);
/// How far the kernel may round a wait up, nanoseconds.
const SLACK_NS: u64 = 1000;
/// When a guest counts as quiet.
const QUIET: Duration = Duration::from_millis(20);
/// Turns of devices between two looks at sockets while there is work without end.
const TURNS: u32 = 4;

/// One device to be served.
#[derive(Debug)]
pub struct Config {
    /// Where its peer connects.
    pub socket: PathBuf,
    /// Which body.
    pub kind: Kind,
    /// How the pass-through page is reached.
    pub path: Path,
    /// Its limits and choices.
    pub profile: &'static Profile,
    /// Its permanent MAC.
    pub mac: [u8; 6],
}

/// A device to be served and where its frames go.
pub type Wired = (Config, Box<dyn Wire>);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
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
    /// The mapped page cannot be made.
    #[error("the mapped page: {0}")]
    Page(#[from] std::io::Error),
}

/// What happened, for whoever keeps a log.
#[derive(Debug)]
pub enum Event<'a> {
    /// A peer connected.
    Connected {
        /// Number of the device.
        device: usize,
    },
    /// A second peer was turned away.
    TurnedAway {
        /// Number of the device.
        device: usize,
        /// How many.
        count: u32,
    },
    /// The peer is gone.
    Gone {
        /// Number of the device.
        device: usize,
        /// Why.
        why: Hangup,
    },
    /// An order was carried out, or not.
    Order {
        /// The line that came.
        request: &'a str,
        /// The line that was answered.
        answer: &'a str,
    },
}

impl std::fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connected { device } => write!(f, "device {device}: a peer connected"),
            Self::TurnedAway { device, count } => write!(f, "device {device}: turned {count} away, a peer is served"),
            Self::Gone { device, why } => write!(f, "device {device}: the peer is gone: {why}"),
            Self::Order { request, answer } => write!(f, "order {request} answered {answer}"),
        }
    }
}

/// A device with its socket and, at times, its peer.
#[derive(Debug)]
pub struct Station {
    listener: Listener,
    session: Option<Session>,
    /// The device.
    pub engine: Served,
    path: Path,
    last_active: Instant,
    seen: u64,
    peers: u64,
    /// Somebody waits at the listener.
    knocks: bool,
}

impl Station {
    /// A peer is connected.
    pub fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// A peer was connected, now or before.
    pub fn had_peer(&self) -> bool {
        self.peers > 0
    }

    /// How the pass-through page is reached.
    pub fn path(&self) -> Path {
        self.path
    }

    fn serve(&mut self, device: usize, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), Errno> {
        let knocks = std::mem::take(&mut self.knocks);
        match &mut self.session {
            None if !knocks => {}
            None => {
                if let Some(peer) = self.listener.accept()? {
                    self.session = Some(Session::new(peer));
                    self.peers += 1;
                    tell(Event::Connected { device });
                }
            }
            Some(session) => {
                if let Err(why) = session.pump(&mut self.engine) {
                    self.session = None;
                    tell(Event::Gone { device, why });
                } else if knocks && !session.peer_closed() {
                    // Whoever waits while a peer that has left is still being served is the next one.
                    let count = self.listener.turn_away()?;
                    if count > 0 {
                        tell(Event::TurnedAway { device, count });
                    }
                }
            }
        }
        Ok(())
    }

    /// How long the loop may sleep on behalf of this device.
    fn due(&mut self) -> Option<Duration> {
        let due = self.engine.due();
        if self.path == Path::Trapped || !self.engine.system().plane().is_active() || self.engine.is_paused() {
            return due;
        }
        let activity = self.engine.activity();
        if activity != self.seen {
            self.seen = activity;
            self.last_active = Instant::now();
        }
        let look = if self.last_active.elapsed() < QUIET { LOOK } else { LOOK_QUIET };
        Some(due.map_or(look, |due| due.min(look)))
    }
}

/// Served devices and whoever gives orders.
#[derive(Debug)]
pub struct Server {
    stations: Vec<Station>,
    control: Option<Control>,
    /// Somebody gives orders, or takes an answer.
    orders: bool,
    more: bool,
}

impl Server {
    /// Serves `devices`, each with its wire; orders come over `control`.
    ///
    /// # Errors
    /// When a socket or a mapped page cannot be made.
    pub fn new(devices: Vec<Wired>, control: Option<&std::path::Path>) -> Result<Self, ServerError> {
        let station = |(config, wire): Wired| {
            let Config { socket, kind, path, profile, mac } = config;
            let memory = Watched::new(LiveMemory::new(Shrinking::default()));
            let engine = Engine::new(profile, kind, path, mac, memory, wire)?;
            let listener = Listener::bind(&socket)?;
            Ok(Station {
                listener,
                session: None,
                engine,
                path,
                last_active: Instant::now(),
                seen: 0,
                peers: 0,
                knocks: false,
            })
        };
        let stations = devices.into_iter().map(station).collect::<Result<_, ServerError>>()?;
        // The kernel may round each wait up by its slack, 50 us unless told: more than the waits for a look.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(SLACK_NS))
            .map_err(|errno| ServerError::System { what: "timer slack", errno })?;
        let control = control.map(Control::bind).transpose()?;
        Ok(Self { stations, control, orders: false, more: false })
    }

    /// The devices.
    pub fn stations(&mut self) -> &mut [Station] {
        &mut self.stations
    }

    /// Waits until something happens, and does what there is to do. False: it is to end, by order or because `stop` is readable.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn turn(&mut self, stop: Option<BorrowedFd<'_>>, tell: &mut dyn FnMut(Event<'_>)) -> Result<bool, ServerError> {
        let stopped = self.wait(stop).map_err(|errno| ServerError::System { what: "poll", errno })?;
        for (device, station) in self.stations.iter_mut().enumerate() {
            station.serve(device, tell).map_err(|errno| ServerError::System { what: "accept", errno })?;
        }
        self.more = false;
        for _ in 0..TURNS {
            self.more = self.stations.iter_mut().fold(false, |more, station| station.engine.work() | more);
            if !self.more {
                break;
            }
        }
        let mut stay = true;
        if let Some(control) = self.control.as_mut().filter(|_| self.orders) {
            let mut obey = |line: &str| control::obey(line, &mut self.stations, &mut stay);
            control.serve(&mut obey, &mut |told| tell(Event::Order { request: told.request, answer: told.answer }));
        }
        Ok(stay && !stopped)
    }

    /// True when `stop` is readable.
    fn wait(&mut self, stop: Option<BorrowedFd<'_>>) -> Result<bool, Errno> {
        let due = match self.more {
            true => Some(Duration::ZERO),
            false => self.stations.iter_mut().filter_map(Station::due).min(),
        };
        let due = due.map(|due| Timespec { tv_sec: due.as_secs() as i64, tv_nsec: i64::from(due.subsec_nanos()) });
        let waits: Vec<Waits> = self.stations.iter().map(|station| station.engine.outlet().wire().fds()).collect();
        let mut fds = Vec::with_capacity(1 + self.stations.len() * (2 + MAX_WAITS));
        fds.extend(stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
        let mut listeners = Vec::with_capacity(self.stations.len());
        for (station, waits) in self.stations.iter().zip(&waits) {
            listeners.push(fds.len());
            fds.push(PollFd::from_borrowed_fd(station.listener.as_fd(), PollFlags::IN));
            fds.extend(station.session.as_ref().map(|s| PollFd::from_borrowed_fd(s.as_fd(), s.interest())));
            if station.engine.listens() {
                fds.extend(waits.iter().flatten().map(|wait| PollFd::new(&*wait.fd, wait.flags)));
            }
        }
        let orders = fds.len();
        if let Some(control) = &self.control {
            control.waits(&mut fds);
        }
        retry_on_intr(|| poll(&mut fds, due.as_ref()))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (station, listener) in self.stations.iter_mut().zip(listeners) {
            station.knocks = ready[listener];
        }
        self.orders = ready[orders..].contains(&true);
        Ok(stop.is_some() && ready.first() == Some(&true))
    }
}
