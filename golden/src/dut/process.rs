//! A program under test as a child of ours: what it says is kept up to a bound, it ends with its owner, and how it ended is told.
//!
//! It ends with its owner also where that one is killed and cannot say so: `setpriv` of util-linux, where it is installed, asks the
//! kernel to kill the program when the thread that started it ends, and becomes the program. So a program belongs to the thread
//! that started it. What the program starts itself is its own affair, and so is one whose owner is killed before `setpriv` has run.
//!
//! Source: Linux, prctl(2), PR_SET_PDEATHSIG; util-linux, setpriv(1).

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::collections::VecDeque;
use std::env::{split_paths, var_os};
use std::ffi::OsStr;
use std::fs::{DirBuilder, remove_dir_all};
use std::io::{self, PipeReader, Read as _, pipe};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of its last words that are kept.
const MAX_WORDS: usize = 4096;

/// Descriptors for a child get numbers from here up: below are those that every program has.
const FIRST_NUMBER: i32 = 10;

/// One start at a time, so that no sibling inherits what is meant for another.
static STARTING: Mutex<()> = Mutex::new(());

/// What a child said last, on its standard output and standard error.
#[derive(Debug, Default)]
struct Words {
    last: VecDeque<u8>,
    /// Nobody is left who could say anything.
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    words: Mutex<Words>,
    end: Condvar,
}

impl Shared {
    /// Listens until there is nobody left, so that a talkative program never waits for us.
    fn listen(&self, mut from: PipeReader) {
        let mut bytes = [0; 4096];
        loop {
            let came = match from.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                came => came.unwrap_or(0),
            };
            let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            if came == 0 {
                words.ended = true;
                self.end.notify_all();
                return;
            }
            words.last.extend(bytes.get(..came).unwrap_or_default());
            let much = words.last.len().saturating_sub(MAX_WORDS);
            words.last.drain(..much);
        }
    }
}

/// Words that become the command that follows them, with a kernel that kills it when we are gone.
const WITH_US: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// Where the shell would find `program`.
fn found(program: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0);
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program)).filter(is_program);
    }
    split_paths(&var_os("PATH")?).map(|folder| folder.join(program)).find(is_program)
}

/// A running child.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    shared: Arc<Shared>,
}

impl Process {
    /// Starts `command` with `stdin` as its standard input; it inherits `others` under the numbers they have here. It ends with the
    /// calling thread.
    pub(super) fn start<S: AsRef<OsStr>>(command: &[S], stdin: OwnedFd, others: &[&OwnedFd]) -> io::Result<Self> {
        Self::spawn(command, stdin, None, others)
    }

    /// Starts `command` with `socket` as its standard input and its standard output; what it says on standard error is kept.
    pub(super) fn talking<S: AsRef<OsStr>>(command: &[S], socket: OwnedFd) -> io::Result<Self> {
        let stdout = socket.try_clone()?;
        Self::spawn(command, socket, Some(stdout), &[])
    }

    fn spawn<S: AsRef<OsStr>>(
        command: &[S],
        stdin: OwnedFd,
        stdout: Option<OwnedFd>,
        others: &[&OwnedFd],
    ) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (from, to) = pipe()?;
        // `setpriv` would tell of a missing program in its own words, and too late.
        let program = found(program.as_ref()).ok_or(Errno::NOENT)?;
        let mut command = match found(WITH_US[0].as_ref()) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(&WITH_US[1..]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).stdin(stdin);
        match stdout {
            Some(stdout) => command.stdout(stdout),
            None => command.stdout(to.try_clone()?),
        };
        command.stderr(to);
        let started = {
            let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            inherited(others, FdFlags::empty())
                .and_then(|()| command.spawn())
                .and_then(|child| inherited(others, FdFlags::CLOEXEC).map(|()| child))
        };
        // Only the child may keep its ends, or nobody would see it close them.
        drop(command);
        let process = Self { child: started?, shared: Arc::default() };
        let shared = Arc::clone(&process.shared);
        thread::Builder::new().name("last words".into()).spawn(move || shared.listen(from))?;
        Ok(process)
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells how it ended and its last words; waits for that as long as `patience` and ends it then.
    pub(super) fn end(&mut self, patience: Duration) -> String {
        let words = self.shared.words.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.end.wait_timeout_while(words, patience, |words| !words.ended);
        let (words, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let by_itself = words.ended;
        let said = String::from_utf8_lossy(&words.last.iter().copied().collect::<Vec<_>>()).trim().to_owned();
        drop(words);
        // One that is already gone keeps the status it ended with.
        let _gone = self.child.kill();
        let how = match self.child.wait() {
            Ok(status) if by_itself => status.to_string(),
            Ok(_) => "it closed its connection and went on".to_owned(),
            Err(error) => error.to_string(),
        };
        if said.is_empty() { how } else { format!("{how}; it said: {said}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed and reaped by its own handle; it may be gone already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn inherited(others: &[&OwnedFd], flags: FdFlags) -> io::Result<()> {
    others.iter().try_for_each(|fd| Ok(fcntl_setfd(fd, flags)?))
}

/// `fd` under a number that a child can inherit it by, and that number.
pub(super) fn numbered(fd: impl AsFd) -> io::Result<(OwnedFd, i32)> {
    let fd = fcntl_dupfd_cloexec(fd, FIRST_NUMBER)?;
    let number = fd.as_raw_fd();
    Ok((fd, number))
}

/// A folder of our own that a program sees too; it goes with this value.
#[derive(Debug)]
pub(super) struct Folder {
    /// As we see it.
    outer: PathBuf,
    /// As the program sees it, whose root folder may be another.
    inner: PathBuf,
}

impl Folder {
    /// An empty folder among the temporary files of the root folder that `command` gives its program.
    pub(super) fn new<S: AsRef<OsStr>>(command: &[S]) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (outside, inside) = match root(command) {
            Some(root) => (root.join("tmp"), PathBuf::from("/tmp")),
            None => (std::env::temp_dir(), std::path::absolute(std::env::temp_dir())?),
        };
        for _ in 0..1000 {
            let name = format!("vnic-dut-{}-{}", id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let outer = outside.join(&name);
            match DirBuilder::new().mode(0o700).create(&outer) {
                Ok(()) => return Ok(Self { outer, inner: inside.join(&name) }),
                // Left behind by one who could not clean up; it is not ours.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where `name` is for us.
    pub(super) fn outer(&self, name: &str) -> PathBuf {
        self.outer.join(name)
    }

    /// Where `name` is for the program.
    pub(super) fn inner(&self, name: &str) -> String {
        self.inner.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is only litter.
        let _gone = remove_dir_all(&self.outer);
    }
}

/// The root folder that `chroot FOLDER PROGRAM` gives its program; `None`: ours.
fn root<S: AsRef<OsStr>>(command: &[S]) -> Option<&Path> {
    let [program, root, _, ..] = command else { return None };
    (Path::new(program).file_name()? == "chroot").then(|| Path::new(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::unix::net::UnixStream;

    fn shell(text: &str, others: &[&OwnedFd]) -> (Process, UnixStream) {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (Process::start(&["sh", "-c", text], theirs, others).unwrap(), UnixStream::from(ours))
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn how_it_ended_is_told_with_its_last_words() {
        assert_eq!(shell("exit 0", &[]).0.end(PATIENCE), "exit status: 0");
        assert_eq!(shell("echo one; echo two >&2; exit 3", &[]).0.end(PATIENCE), "exit status: 3; it said: one\ntwo");
        assert_eq!(
            shell("kill -ABRT $$", &[]).0.end(PATIENCE).split(' ').take(2).collect::<Vec<_>>(),
            ["signal:", "6"]
        );
    }

    #[test]
    fn a_talkative_program_is_heard_to_its_end_and_kept_to_the_bound() {
        let said = shell("i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; exit 1", &[]).0.end(PATIENCE);
        assert!(said.ends_with("\n19999") && said.len() < MAX_WORDS + 100, "{}", said.len());
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let (mut process, connection) = shell("exec cat", &[]);
        assert_eq!(process.end(Duration::from_millis(50)), "it closed its connection and went on");
        drop(process);
        let mut end = [0];
        assert_eq!((&connection).read(&mut end).unwrap(), 0);
    }

    #[test]
    fn its_owner_takes_it_along() {
        let (process, connection) = shell("exec cat", &[]);
        drop(process);
        assert_eq!((&connection).read(&mut [0]).unwrap(), 0, "the other end is closed");
    }

    #[test]
    fn it_ends_with_the_thread_that_started_it() {
        let started = || {
            let (process, mut connection) = shell("echo >&0; exec cat", &[]);
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            // Before it is itself, nobody has asked for its end.
            connection.read_exact(&mut [0]).unwrap();
            (process, connection)
        };
        let (process, mut connection) = thread::spawn(started).join().unwrap();
        assert_eq!(connection.read(&mut [0]).unwrap(), 0, "the other end is closed, and nobody has dropped it");
        drop(process);
    }

    #[test]
    fn a_descriptor_is_inherited_under_its_number_and_by_nobody_else() {
        let (socket, _other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let (fd, number) = numbered(&socket).unwrap();
        let asks = format!("test -S /proc/self/fd/{number}");
        assert_eq!(shell(&asks, &[&fd]).0.end(PATIENCE), "exit status: 0");
        assert_eq!(shell(&asks, &[]).0.end(PATIENCE), "exit status: 1");
    }

    #[test]
    fn the_folder_is_where_the_program_sees_it_and_goes_with_its_owner() {
        let folder = Folder::new(&["qemu"]).unwrap();
        std::fs::write(folder.outer("f"), b"x").unwrap();
        assert_eq!(std::fs::read(folder.inner("f")).unwrap(), b"x");
        let (outer, other) = (folder.outer.clone(), Folder::new(&["qemu"]).unwrap());
        assert_ne!(outer, other.outer);
        drop(folder);
        assert!(!outer.exists());

        std::fs::create_dir_all(other.outer("root/tmp")).unwrap();
        let root = other.outer("root").display().to_string();
        let inside = Folder::new(&["/usr/sbin/chroot", &root, "qemu"]).unwrap();
        assert!(inside.outer.starts_with(other.outer("root/tmp")) && inside.inner.starts_with("/tmp"));
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        let (_, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        assert!(Process::start(&["/nowhere/qemu"], theirs.try_clone().unwrap(), &[]).is_err());
        assert!(Process::start::<&str>(&[], theirs, &[]).is_err());
        assert!(Folder::new(&["chroot", "/nowhere", "qemu"]).is_err());
    }
}
