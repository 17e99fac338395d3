//! QEMU's VMXNET3 as a device under test, driven for real: `VNIC_QEMU` names the program, several words where one is not enough.
//! Without it, the `qemu-system-x86_64` that is installed.

use rustix::process::{Pid, Signal, kill_process};
use spec::event::Bar::{Bar0, Bar1, Bar2};
use spec::layout::Bytes;
use spec::vmxnet3::command::rx_mode;
use spec::vmxnet3::{
    DriverShared, IntrConf, MAGIC, MiscConf, RxCompDesc, RxDesc, RxFilterConf, RxQueueConf, RxQueueDesc, TxCompDesc,
    TxDesc, TxQueueConf, TxQueueDesc,
};
use std::time::Duration;
use vnic_golden::dut::{Dut, Options, Qemu, Seen, Trouble};

const BASE: u64 = 0x10_0000;
const QUEUES: u64 = BASE + 0x1000;
const TX: u64 = BASE + 0x2000;
const TX_COMP: u64 = BASE + 0x3000;
const RX: [u64; 2] = [BASE + 0x4000, BASE + 0x5000];
const RX_COMP: u64 = BASE + 0x6000;
const BUFFERS: u64 = BASE + 0x1_0000;
const CELLS: u32 = 32;

const ACTIVATE: u64 = 0xcafe_0000;
const GET_LINK: u64 = 0xf00d_0002;
const CMD: u32 = 0x20;

fn command() -> Vec<String> {
    let words = std::env::var("VNIC_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".into());
    words.split_whitespace().map(str::to_owned).collect()
}

fn start(options: Options) -> Qemu {
    let mut qemu = Qemu::with(&command(), options).unwrap_or_else(|trouble| panic!("{trouble}"));
    let about = qemu.about().clone();
    assert_eq!((about.base, about.vectors), (BASE, if options.intx { 0 } else { 25 }), "{about:?}");
    assert!(about.identity.starts_with(&format!("QEMU {}.", about.version)), "{about:?}");
    let mut page = [1; 4096];
    qemu.load(BASE, &mut page).unwrap();
    assert_eq!(page, [0; 4096], "memory is zero at power-on");
    qemu
}

fn put<T: Bytes>(qemu: &mut Qemu, pa: u64, value: T) {
    let mut bytes = vec![0; T::SIZE];
    value.put(&mut bytes);
    qemu.store(pa, &bytes).unwrap();
}

fn get<T: Bytes>(qemu: &mut Qemu, pa: u64) -> T {
    let mut bytes = vec![0; T::SIZE];
    qemu.load(pa, &mut bytes).unwrap();
    T::get(&bytes)
}

fn command_register(qemu: &mut Qemu, command: u64) -> u64 {
    qemu.write(Bar1, CMD, 4, command).unwrap();
    qemu.read(Bar1, CMD, 4).unwrap()
}

/// One queue of each kind, every RX buffer posted, vectors 0 for TX, 1 for RX, 2 for events, all unmasked; 0 for everything on a line.
fn activate(qemu: &mut Qemu) {
    let vectors = if qemu.about().vectors == 0 { [0, 0] } else { [1, 2] };
    let mut misc = MiscConf::default();
    misc.set_queue_desc_pa(QUEUES);
    misc.set_queue_desc_len(512);
    misc.set_mtu(1500);
    misc.set_num_tx_queues(1);
    misc.set_num_rx_queues(1);
    let mut intr = IntrConf::default();
    intr.set_num_intrs(3);
    intr.set_event_intr_idx(vectors[1]);
    let mut filter = RxFilterConf::default();
    filter.set_rx_mode(rx_mode::UCAST | rx_mode::BCAST);
    let mut shared = DriverShared::default();
    shared.set_magic(MAGIC);
    shared.set_misc(misc);
    shared.set_intr_conf(intr);
    shared.set_rx_filter_conf(filter);
    put(qemu, BASE, shared);

    let mut conf = TxQueueConf::default();
    conf.set_tx_ring_base_pa(TX);
    conf.set_tx_ring_size(CELLS);
    conf.set_comp_ring_base_pa(TX_COMP);
    conf.set_comp_ring_size(CELLS);
    let mut queue = TxQueueDesc::default();
    queue.set_conf(conf);
    put(qemu, QUEUES, queue);
    let mut conf = RxQueueConf::default();
    conf.set_rx_ring_base_pa(RX);
    conf.set_rx_ring_size([CELLS, CELLS]);
    conf.set_comp_ring_base_pa(RX_COMP);
    conf.set_comp_ring_size(2 * CELLS);
    conf.set_intr_idx(vectors[0]);
    let mut queue = RxQueueDesc::default();
    queue.set_conf(conf);
    put(qemu, QUEUES + 256, queue);
    for cell in 0..u64::from(CELLS) - 1 {
        let mut rx = RxDesc::default();
        rx.set_addr(BUFFERS + cell * 2048);
        rx.set_len(2048);
        rx.set_generation(true);
        put(qemu, RX[0] + cell * 16, rx);
    }
    qemu.write(Bar1, 0x10, 4, BASE).unwrap();
    qemu.write(Bar1, 0x18, 4, 0).unwrap();
    assert_eq!(command_register(qemu, ACTIVATE), 0);
    qemu.write(Bar0, 0x800, 4, 31).unwrap();
    qemu.write(Bar1, CMD, 4, 0xcafe_0003).unwrap();
    for vector in 0..3 {
        qemu.write(Bar0, vector * 8, 4, 0).unwrap();
    }
}

fn post(qemu: &mut Qemu, cell: u64, frame: &[u8], om: u8) {
    let pa = BUFFERS + 0x8_0000 + cell * 2048;
    qemu.store(pa, frame).unwrap();
    let mut tx = TxDesc::default();
    tx.set_addr(pa);
    tx.set_len(u16::try_from(frame.len()).unwrap());
    tx.set_om(om);
    tx.set_eop(true);
    tx.set_cq(true);
    tx.set_generation(true);
    put(qemu, TX + cell * 16, tx);
}

fn signal(qemu: &Qemu, signal: Signal) {
    kill_process(Pid::from_raw(qemu.process().try_into().unwrap()).unwrap(), signal).unwrap();
}

fn settled(qemu: &mut Qemu) -> Vec<Seen> {
    let mut seen = Vec::new();
    qemu.settle(&mut seen).unwrap();
    seen
}

fn frame(tag: u8, bytes: usize) -> Vec<u8> {
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, tag, 0x88, 0xb5], &vec![tag; bytes - 14]].concat()
}

/// One frame out and one in, on cell `at` of every ring.
fn exchange(qemu: &mut Qemu, at: u64) {
    post(qemu, at, &frame(1, 1000), 0);
    assert_eq!(settled(qemu), []);
    qemu.write(Bar0, 0x600, 4, at + 1).unwrap();
    assert_eq!(settled(qemu), [Seen::Sent(frame(1, 1000)), Seen::Vector(0)]);
    let done: TxCompDesc = get(qemu, TX_COMP + at * 16);
    assert_eq!((u64::from(done.txd_idx()), done.generation()), (at, true));

    qemu.offer(&frame(2, 700)).unwrap();
    assert_eq!(settled(qemu), [Seen::Vector(1)]);
    let done: RxCompDesc = get(qemu, RX_COMP + at * 16);
    assert_eq!(
        (u64::from(done.rxd_idx()), done.len(), done.sop(), done.eop(), done.generation()),
        (at, 700, true, true, true)
    );
    let mut bytes = [0; 700];
    qemu.load(BUFFERS + at * 2048, &mut bytes).unwrap();
    assert_eq!(bytes[..], frame(2, 700));
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn frames_go_out_and_in_and_vectors_are_seen() {
    let mut qemu = start(Options::default());
    activate(&mut qemu);
    for at in 0..3 {
        exchange(&mut qemu, at);
    }
    assert_eq!(settled(&mut qemu), []);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn registers_have_every_width() {
    let mac = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
    let mut qemu = start(Options { mac, ..Options::default() });
    assert_eq!(qemu.read(Bar1, 0x28, 4), Ok(0x3322_1102));
    assert_eq!(qemu.read(Bar1, 0x30, 4), Ok(0x5544));
    assert_eq!(qemu.read(Bar1, 0x28, 1), Ok(0x02));
    assert_eq!(qemu.read(Bar1, 0x28, 2), Ok(0x1102));
    assert_eq!(qemu.read(Bar2, 12, 4), Ok(0), "vector 0 is unmasked");
    assert_eq!(qemu.read(Bar2, 16, 8), Ok(0x80_0004), "the second vector's message goes past the first one's");
    qemu.write(Bar2, 12, 4, 0xffff_ffff_0000_0001).unwrap();
    assert_eq!(qemu.read(Bar2, 12, 4), Ok(1));
    assert_eq!(qemu.read(Bar2, 8, 8), Ok(0x1_0000_0001));
    assert_eq!(qemu.read(Bar0, 0, 4), Ok(1), "masks are 1 at power-on");
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn everything_that_was_offered_has_arrived_and_all_that_was_sent_is_seen() {
    let mut qemu = start(Options::default());
    activate(&mut qemu);
    for tag in 0..31 {
        qemu.offer(&frame(tag, 1400)).unwrap();
    }
    assert_eq!(settled(&mut qemu), [Seen::Vector(1)], "a vector counts once");
    for cell in 0..31 {
        assert!(get::<RxCompDesc>(&mut qemu, RX_COMP + cell * 16).generation(), "{cell}");
    }
    for cell in 0..31 {
        post(&mut qemu, cell, &frame(cell as u8, 1400), 0);
    }
    qemu.write(Bar0, 0x600, 4, 31).unwrap();
    let expected: Vec<_> = (0..31).map(|tag| Seen::Sent(frame(tag, 1400))).chain([Seen::Vector(0)]).collect();
    assert!(settled(&mut qemu) == expected);

    // More than a socket holds, and more than there are buffers: the rest is counted.
    for tag in 0..1000 {
        qemu.offer(&frame(tag as u8, 1400)).unwrap();
    }
    settled(&mut qemu);
    qemu.write(Bar1, CMD, 4, 0xf00d_0001).unwrap();
    assert_eq!(get::<RxQueueDesc>(&mut qemu, QUEUES + 256).stats().pkts_rx_out_of_buf(), 1000);

    // More than a socket holds, while nobody reads it: 15 MiB in frames of 16 KiB.
    let mut sent = 0;
    let mut at = 31;
    for _ in 0..30 {
        for _ in 0..31 {
            let mut tx = TxDesc::default();
            tx.set_addr(BUFFERS);
            tx.set_eop(true);
            tx.set_generation(at / 32 % 2 == 0);
            put(&mut qemu, TX + at % 32 * 16, tx);
            at += 1;
        }
        qemu.write(Bar0, 0x600, 4, at % 32).unwrap();
        sent += 31;
    }
    let seen = settled(&mut qemu);
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Sent(frame) if frame.len() == 16384)).count(), sent);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn a_device_that_is_not_active_holds_nothing_up() {
    let mut qemu = start(Options::default());
    for _ in 0..1000 {
        qemu.offer(&frame(1, 1500)).unwrap();
    }
    qemu.offer(&[]).unwrap();
    assert_eq!(settled(&mut qemu), []);
    activate(&mut qemu);
    exchange(&mut qemu, 0);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn a_reset_keeps_memory_and_nothing_else() {
    let mut qemu = start(Options::default());
    activate(&mut qemu);
    exchange(&mut qemu, 0);
    signal(&qemu, Signal::STOP);
    for _ in 0..250 {
        qemu.offer(&[2; 60]).unwrap();
    }
    qemu.offer(&frame(3, 60)).unwrap();
    signal(&qemu, Signal::CONT);
    qemu.reset().unwrap();
    assert_eq!(settled(&mut qemu), [Seen::Vector(1)], "what was offered before came before");
    assert!(get::<RxCompDesc>(&mut qemu, RX_COMP + 16).generation());
    assert_eq!(qemu.read(Bar0, 0, 4), Ok(1));
    assert_eq!(qemu.read(Bar2, 16 + 12, 4), Ok(0));
    post(&mut qemu, 1, &frame(1, 60), 0);
    qemu.write(Bar0, 0x600, 4, 2).unwrap();
    qemu.offer(&frame(3, 100)).unwrap();
    assert_eq!(settled(&mut qemu), [], "it is not active");
    qemu.store(BASE, &[0; 0x1_0000]).unwrap();
    activate(&mut qemu);
    exchange(&mut qemu, 0);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn the_link_and_bus_mastering_are_ours_to_switch() {
    let mut qemu = start(Options::default());
    activate(&mut qemu);
    assert_eq!(command_register(&mut qemu, GET_LINK), 0x03e8_0001);
    qemu.link(false).unwrap();
    assert_eq!(settled(&mut qemu), [Seen::Vector(2)]);
    assert_eq!(command_register(&mut qemu, GET_LINK) & 1, 0);
    qemu.link(true).unwrap();
    assert_eq!(settled(&mut qemu), [Seen::Vector(2)]);
    qemu.bus_master(false).unwrap();
    post(&mut qemu, 0, &frame(1, 60), 0);
    qemu.write(Bar0, 0x600, 4, 1).unwrap();
    assert_eq!(settled(&mut qemu), []);
    qemu.bus_master(true).unwrap();
    exchange(&mut qemu, 0);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn without_msix_the_line_is_seen() {
    let mut qemu = start(Options { intx: true, ..Options::default() });
    activate(&mut qemu);
    assert_eq!(settled(&mut qemu), []);
    qemu.offer(&frame(2, 700)).unwrap();
    assert_eq!(settled(&mut qemu), [Seen::Line(true)]);
    assert_eq!(settled(&mut qemu), []);
    assert_ne!(qemu.read(Bar1, 0x38, 4), Ok(0));
    assert_eq!(settled(&mut qemu), [Seen::Line(false)]);
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn a_crash_is_told_with_how_and_why() {
    let mut qemu = start(Options::default());
    activate(&mut qemu);
    post(&mut qemu, 0, &frame(1, 60), 1);
    let Err(Trouble::Gone(how)) = qemu.write(Bar0, 0x600, 4, 1) else { panic!("offload mode 1 ends it") };
    assert!(how.starts_with("signal: 6 (SIGABRT)") && how.contains("vmxnet3"), "{how}");
    assert!(matches!(qemu.write(Bar0, 0x600, 4, 1), Err(Trouble::Gone(_))), "again");
    assert!(qemu.script().ends_with("writel 0xe0000600 0x1\n"));
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn the_script_repeats_a_conversation() {
    let mut qemu = start(Options::default());
    qemu.store(BASE + 0x3f_0000, &[0x5a; 0x1_0000]).unwrap();
    qemu.reset().unwrap();
    activate(&mut qemu);
    post(&mut qemu, 0, &frame(1, 60), 1);
    qemu.offer(&frame(1, 60)).unwrap();
    let _ended = qemu.write(Bar0, 0x600, 4, 1);
    let script = qemu.script();
    assert!(script.contains("\nmemset 0x4f0000 0x10000 0x5a\n") && script.contains("\n# offered, 60 bytes: ffff"));

    let folder = std::env::temp_dir().join(format!("vnic-script-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("SCRIPT"), &script).unwrap();
    // The recipe is the script's own head.
    let recipe: String =
        script.lines().skip(1).take(2).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let recipe =
        recipe.replace("qemu-system-x86_64", &std::env::var("VNIC_QEMU").unwrap_or("qemu-system-x86_64".into()));
    if !recipe.contains("chroot") {
        let run = std::process::Command::new("sh").arg("-c").arg(&recipe).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(said.contains("vmxnet3") && run.status.code().is_some_and(|code| code > 124), "{recipe}{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn what_does_not_start_says_why() {
    let none = Qemu::start(&["/nowhere/qemu".into()]).unwrap_err();
    assert!(matches!(&none, Trouble::Start(why) if why.starts_with("/nowhere/qemu: ")), "{none}");
    let mut words = command();
    words.push("-no-such-option".into());
    let refused = Qemu::start(&words).unwrap_err();
    assert!(matches!(&refused, Trouble::Start(why) if why.contains("-no-such-option")), "{refused}");
    let options = Options { patience: Duration::from_millis(100), ..Options::default() };
    let silent = Qemu::with(&["sh".into(), "-c".into(), "exec cat".into()], options);
    assert!(matches!(silent, Err(Trouble::Hangs(_))));
}

#[test]
#[ignore = "needs qemu-system-x86_64; run by .ci/peers"]
fn one_that_stops_answering_hangs() {
    let patience = Duration::from_millis(300);
    let mut qemu = start(Options { patience, ..Options::default() });
    signal(&qemu, Signal::STOP);
    assert_eq!(qemu.read(Bar1, CMD, 4), Err(Trouble::Hangs("readl 0xe1000020".into())));
}
