//! The move with work under way, after every number of adapter steps, and the traffic after it.

use super::RoundtripReport;
use super::driver::Driver;
use super::hardware::{Hardware, PROFILE, through_bytes};
use crate::import::Capture;
use model::host::Bare;
use model::migrate::Canon;
use model::plane::Progress;
use model::vic::Register;
use model::vmxnet3::body::Body;
use spec::frame::{Dice, generated};
use spec::vic::WqReg;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{Bar0, MAX_VECTORS};

/// Packets that each TX queue posts before the move, and of these the ones that the doorbell tells.
const PACKETS: usize = 8;
const RUNG: usize = 5;
/// Packets that each TX queue posts after it.
const LATER: usize = 4;
/// Frames that arrive before the move, and after it.
const FRAMES: usize = 4;
const LATER_FRAMES: usize = 2;
/// Steps after which a body that does not come to rest counts as stuck.
const STEPS: u32 = 1 << 20;
/// Somebody else on the wire.
const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];

/// In what order the adapter's possible steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    First,
    Last,
    Drawn,
}

/// What was posted and offered, in order.
#[derive(Clone, Debug)]
struct Traffic {
    packets: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

impl Traffic {
    fn new(canon: &Canon) -> Self {
        let filters = &canon.activation.filters;
        let to = if filters.rx_mode & (rx_mode::UCAST | rx_mode::PROMISC) != 0 { filters.mac } else { [0xff; 6] };
        let packets = (0..PACKETS + LATER).map(|i| generated(PEER, filters.mac, 1, i as u64, 60 + 131 * i)).collect();
        // The second needs more than one buffer where the MTU allows.
        let long = (canon.activation.mtu as usize + 14).min(8000);
        let lens = [60, long, 1514.min(long), 90, 333, 61];
        let frames = lens.iter().enumerate().map(|(i, &len)| generated(to, PEER, 2, i as u64, len)).collect();
        Self { packets, frames }
    }

    /// Descriptors of packet `i`: the third has three.
    fn fragments(i: usize) -> usize {
        if i == 2 { 3 } else { 1 }
    }
}

/// What must have happened in the end, whatever the way.
struct Expected {
    sent: Vec<(u8, Vec<u8>)>,
    frames: Vec<Vec<u8>>,
    progress: Progress,
}

/// Everything that a move starts from.
struct Scene {
    canon: Canon,
    traffic: Traffic,
    driver: Driver,
    host: Bare,
}

/// Tries every position; what fails is in the report.
pub(super) fn fly(capture: &Capture, canon: &Canon, report: &mut RoundtripReport) -> Result<(), String> {
    let traffic = Traffic::new(canon);
    let (driver, memory, placed) = Driver::adopt(&capture.memory, canon, (PACKETS + LATER) as u64);
    report.assumptions.push(format!(
        "{} transmit and {} receive buffers that the recording lacks are placed in memory of our own",
        placed.transmit, placed.receive
    ));
    let mut scene = Scene { canon: canon.clone(), traffic, driver, host: Bare::new(memory) };
    // The adapter is entered with nothing new posted, and comes to rest with a wire that takes nothing.
    scene.host.busy = true;
    let mut hardware = Hardware::enter(canon.clone(), &mut scene.host)?;
    let mut units = Vec::new();
    while hardware.step(0, &mut units, &mut scene.host) {}
    scene.host.busy = false;
    let expected = scene.in_software_alone()?;
    scene.post_before_the_move(&mut hardware)?;
    hardware.adapter.wire_ready();
    for order in [Order::First, Order::Last, Order::Drawn] {
        scene.walk(hardware.clone(), order, &expected, report)?;
    }
    Ok(())
}

impl Scene {
    fn queues(&self) -> usize {
        self.canon.activation.tx.len()
    }

    /// The same traffic with no adapter at all: what every other way is held against.
    fn in_software_alone(&self) -> Result<Expected, String> {
        let mut driver = self.driver.clone();
        let mut host = self.host.clone();
        for q in 0..self.queues() {
            for i in 0..PACKETS {
                if !driver.post(q, &self.traffic.packets[i], Traffic::fragments(i), &mut host.memory) {
                    return Err(format!("tx queue {q} has no room for {PACKETS} packets"));
                }
            }
        }
        let mut body = Body::resume(PROFILE, &self.canon.activation, &self.canon.progress);
        body.rescan();
        let (progress, frames) = self.go_on(body, &self.traffic.frames[..FRAMES], &mut driver, &mut host)?;
        let offered = &self.traffic.frames;
        if frames != *offered {
            return Err(format!("software alone delivers {} of {} frames", frames.len(), offered.len()));
        }
        for q in 0..self.queues() {
            let sent: Vec<_> = host.sent.iter().filter(|(queue, _)| usize::from(*queue) == q).collect();
            let ours = sent.len().checked_sub(self.traffic.packets.len()).map(|from| &sent[from..]);
            if ours.is_none_or(|ours| !ours.iter().map(|sent| &sent.1).eq(&self.traffic.packets)) {
                return Err(format!("tx queue {q}: software alone does not send the packets as posted"));
            }
        }
        Ok(Expected { sent: host.sent, frames, progress })
    }

    fn post_before_the_move(&mut self, hardware: &mut Hardware) -> Result<(), String> {
        for q in 0..self.queues() {
            for i in 0..PACKETS {
                self.driver.post(q, &self.traffic.packets[i], Traffic::fragments(i), &mut self.host.memory);
                if i + 1 == RUNG {
                    let doorbell = Register::Wq(q as u8, WqReg::PostedIndex);
                    if !hardware.adapter.post(doorbell, self.driver.producer(q)) {
                        return Err(format!("the adapter takes no doorbell of tx queue {q}"));
                    }
                }
            }
        }
        let taken = self.traffic.frames[..FRAMES].iter().filter(|frame| hardware.adapter.offer(frame)).count();
        if taken == FRAMES { Ok(()) } else { Err(format!("the adapter takes {taken} of {FRAMES} frames")) }
    }

    /// Leaves the adapter after each number of steps.
    fn walk(
        &self,
        mut hardware: Hardware,
        order: Order,
        expected: &Expected,
        report: &mut RoundtripReport,
    ) -> Result<(), String> {
        let mut host = self.host.clone();
        let mut units = Vec::new();
        let mut dice = Dice::new(7);
        for steps in 0.. {
            let place = |words: String| format!("after {steps} steps ({order:?} first): {words}");
            self.leave_for_software(hardware.clone(), host.clone(), expected, report).map_err(place)?;
            self.leave_for_an_adapter(hardware.clone(), host.clone(), expected, report).map_err(place)?;
            report.positions += 1;
            let pick = match order {
                Order::First => 0,
                Order::Last => {
                    units.clear();
                    hardware.adapter.units(&mut units);
                    units.len().saturating_sub(1)
                }
                Order::Drawn => dice.below(1 << 16) as usize,
            };
            if !hardware.step(pick, &mut units, &mut host) {
                return Ok(());
            }
            if steps == STEPS {
                return Err("the adapter does not come to rest".into());
            }
        }
        Ok(())
    }

    fn leave_for_software(
        &self,
        hardware: Hardware,
        mut host: Bare,
        expected: &Expected,
        report: &mut RoundtripReport,
    ) -> Result<(), String> {
        let (canon, held) = hardware.leave(&mut host)?;
        let (_, canon) = through_bytes(&canon)?;
        report.moves += 1;
        self.end(&canon, &held, host, expected, report)
    }

    fn leave_for_an_adapter(
        &self,
        hardware: Hardware,
        mut host: Bare,
        expected: &Expected,
        report: &mut RoundtripReport,
    ) -> Result<(), String> {
        let (canon, held) = hardware.leave(&mut host)?;
        let (_, canon) = through_bytes(&canon)?;
        let mut second = Hardware::enter(canon, &mut host)?;
        if !held.iter().all(|frame| second.adapter.offer(frame)) {
            return Err("the second adapter does not take the frames of the first".into());
        }
        let mut units = Vec::new();
        while second.step(0, &mut units, &mut host) {}
        let (canon, held) = second.leave(&mut host)?;
        let (_, canon) = through_bytes(&canon)?;
        report.moves += 3;
        self.end(&canon, &held, host, expected, report)
    }

    /// Software takes over, traffic goes on, and everything is held against what must have happened.
    fn end(
        &self,
        canon: &Canon,
        held: &[Vec<u8>],
        mut host: Bare,
        expected: &Expected,
        report: &mut RoundtripReport,
    ) -> Result<(), String> {
        let mut body = Body::resume(PROFILE, &canon.activation, &canon.progress);
        body.rescan();
        let mut driver = self.driver.clone();
        let (progress, frames) = self.go_on(body, held, &mut driver, &mut host)?;
        for q in 0..self.queues() {
            let of = |sent: &[(u8, Vec<u8>)]| -> Vec<Vec<u8>> {
                sent.iter().filter(|(queue, _)| usize::from(*queue) == q).map(|(_, frame)| frame.clone()).collect()
            };
            if of(&host.sent) != of(&expected.sent) {
                let (is, must) = (of(&host.sent).len(), of(&expected.sent).len());
                return Err(format!("tx queue {q}: {is} frames sent, not the {must} posted in their order"));
            }
        }
        if frames != expected.frames {
            let (is, must) = (frames.len(), expected.frames.len());
            return Err(format!("{is} frames delivered, not the {must} offered in their order"));
        }
        if (&progress.tx, &progress.rx) != (&expected.progress.tx, &expected.progress.rx) {
            return Err("positions or counters are not those of software alone".into());
        }
        report.packets += host.sent.len();
        report.frames += frames.len();
        Ok(())
    }

    /// Frames that were held arrive, everything comes to rest, then there is more traffic. Answers where the body stands in the
    /// end and every frame that the guest received since the recording.
    fn go_on(
        &self,
        mut body: Body,
        held: &[Vec<u8>],
        driver: &mut Driver,
        host: &mut Bare,
    ) -> Result<(Progress, Vec<Vec<u8>>), String> {
        for frame in held {
            arrive(&mut body, frame, host)?;
        }
        rest(&mut body, host)?;
        // Before anything new is rung: what was posted, rung or not, has to be done by now.
        let mut frames = driver.poll(&host.memory)?;
        for q in 0..self.queues() {
            for packet in &self.traffic.packets[PACKETS..] {
                if !driver.post(q, packet, 1, &mut host.memory) {
                    return Err(format!("tx queue {q} has no room for {LATER} packets more"));
                }
                body.write_bar0(Bar0::TxProd(q as u8), driver.producer(q));
            }
        }
        for frame in &self.traffic.frames[FRAMES..FRAMES + LATER_FRAMES] {
            arrive(&mut body, frame, host)?;
        }
        rest(&mut body, host)?;
        frames.extend(driver.poll(&host.memory)?);
        let progress = body.progress().map_err(|error| error.to_string())?;
        self.positions(driver, &progress)?;
        self.woken(host, &progress)?;
        Ok((progress, frames))
    }

    /// The body stands where the driver expects it.
    fn positions(&self, driver: &Driver, progress: &Progress) -> Result<(), String> {
        for (q, (at, (fill, comp))) in progress.tx.iter().zip(driver.sent()).enumerate() {
            if (at.next, at.comp) != (fill, comp) {
                return Err(format!(
                    "tx queue {q} stands at {:?} and {:?}, not {fill:?} and {comp:?}",
                    at.next, at.comp
                ));
            }
        }
        for (q, (at, comp)) in progress.rx.iter().zip(driver.received()).enumerate() {
            if at.comp != comp {
                return Err(format!("rx queue {q} completes at {:?}, not {comp:?}", at.comp));
            }
        }
        Ok(())
    }

    /// Every queue that completed something raised its vector, or will at the unmask.
    fn woken(&self, host: &Bare, progress: &Progress) -> Result<(), String> {
        let tx = self.canon.activation.tx.iter().map(|queue| queue.vector);
        let rx = self.canon.activation.rx.iter().take(1).map(|queue| queue.vector);
        for vector in tx.chain(rx).filter(|&vector| usize::from(vector) < MAX_VECTORS) {
            if !host.vectors.contains(&u16::from(vector)) && !progress.vectors[usize::from(vector)].pending {
                return Err(format!("vector {vector} was neither raised nor remembered"));
            }
        }
        Ok(())
    }
}

fn arrive(body: &mut Body, frame: &[u8], host: &mut Bare) -> Result<(), String> {
    rest(body, host)?;
    if body.offer(frame) { rest(body, host) } else { Err("the software body takes no frame at rest".into()) }
}

fn rest(body: &mut Body, host: &mut Bare) -> Result<(), String> {
    body.run(host, STEPS);
    if body.is_idle() { Ok(()) } else { Err("the software body does not come to rest".into()) }
}
