//! Runs a program and injects one fault: at the k-th time that one of its processes, or of their children that run the
//! same program, comes to a named point. A point is a system call and its object: `rename tmp/#/blob-N -> blobs/#`.
//!
//! A seccomp filter stops the traced at the calls of the table alone, so that they run at nearly their own speed. Nothing
//! of them survives the tracer. It has one thread, as ptrace(2) wants it.

use crate::calls::{CALLS, Call, Fault, Kind, Object};
use muster::sys::seccomp::{Instruction, install};
use nix::{
    libc::{self, user_regs_struct},
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill, raise},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// `--traced PROGRAM ARG...`: stops, so that the tracer can set its options, and becomes the program.
pub fn traced(args: &[String]) -> ExitCode {
    ptrace::traceme().unwrap();
    raise(Signal::SIGSTOP).unwrap();
    install(&filter()).unwrap();
    let error = Command::new(&args[0]).args(&args[1..]).exec();
    panic!("{}: {error}", args[0]);
}

/// Asks the tracer about every call of the table.
fn filter() -> Vec<Instruction> {
    let (load, equal, answer) = (0x20, 0x15, 0x06);
    let mut program = vec![Instruction { code: load, jt: 0, jf: 0, k: 0 }];
    for (index, call) in CALLS.iter().enumerate() {
        let to_trace = u8::try_from(CALLS.len() - index).unwrap();
        program.push(Instruction { code: equal, jt: to_trace, jf: 0, k: u32::try_from(call.number).unwrap() });
    }
    program.push(Instruction { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW });
    program.push(Instruction { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_TRACE });
    program
}

/// `--inject ROOT REPORT FAULT NUMBER POINT PROGRAM ARG...`; without a fault (`-`) every point is written down.
///
/// The report: `point CALL OBJECT` for each, `hit PATH` where the fault was injected, `exit CODE` of the program, and
/// `end` when the last of its processes is gone.
pub fn main(args: &[String]) -> ExitCode {
    let [root, report, fault, number, point, command @ ..] = args else { panic!("{args:?}") };
    let program = fs::metadata(&command[0]).unwrap();
    let mut tracer = Tracer {
        root: root.into(),
        report: File::options().create(true).append(true).open(report).unwrap(),
        program: (program.dev(), program.ino()),
        fault: (fault != "-").then(|| Fault::parse(fault)),
        remaining: number.parse().unwrap(),
        point: point.clone(),
        known: HashSet::new(),
        netlink: HashSet::new(),
    };
    // Waited for with all the others.
    #[allow(clippy::zombie_processes)]
    let first = Command::new(std::env::current_exe().unwrap()).arg("--traced").args(command).spawn().unwrap();
    tracer.run(Pid::from_raw(i32::try_from(first.id()).unwrap()));
    ExitCode::SUCCESS
}

struct Tracer {
    root: PathBuf,
    report: File,
    /// Device and inode.
    program: (u64, u64),
    fault: Option<Fault>,
    remaining: usize,
    point: String,
    known: HashSet<Pid>,
    /// Sockets that are known to be netlink's.
    netlink: HashSet<String>,
}

impl Tracer {
    fn run(&mut self, first: Pid) {
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => break,
                Ok(WaitStatus::Exited(pid, code)) if pid == first => writeln!(self.report, "exit {code}").unwrap(),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == first => {
                    writeln!(self.report, "exit {}", 128 + signal as i32).unwrap();
                }
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {}
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                    if event == libc::PTRACE_EVENT_SECCOMP {
                        self.stopped(pid);
                    }
                    let _ = ptrace::cont(pid, None);
                }
                Ok(WaitStatus::Stopped(pid, signal)) => {
                    let is_new = self.known.insert(pid);
                    if is_new && pid == first {
                        let options = Options::PTRACE_O_TRACESECCOMP
                            | Options::PTRACE_O_TRACECLONE
                            | Options::PTRACE_O_TRACEFORK
                            | Options::PTRACE_O_TRACEVFORK
                            | Options::PTRACE_O_TRACEEXEC
                            | Options::PTRACE_O_EXITKILL;
                        ptrace::setoptions(pid, options).unwrap();
                    }
                    // The first stop of each is the kernel's, and no signal to be passed on.
                    let _ = ptrace::cont(pid, (!(is_new && signal == Signal::SIGSTOP)).then_some(signal));
                }
                Ok(_) => {}
            }
        }
        writeln!(self.report, "end").unwrap();
    }

    /// One of the traced is about to enter a call of the table.
    fn stopped(&mut self, pid: Pid) {
        let ours = fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| (exe.dev(), exe.ino()) == self.program);
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        let Some(call) = Call::of(registers.orig_rax as i64).filter(|_| ours) else { return };
        let Some(object) = self.object(pid, call, &registers) else { return };
        let point = format!("{} {}", call.label(), place(&object, &self.root));
        let Some(fault) = self.fault else {
            writeln!(self.report, "point {point}").unwrap();
            return;
        };
        if point != self.point || self.remaining == 0 {
            return;
        }
        // The kernel's own files take what they take whole.
        if fault == Fault::Short && !object.contains(&*self.root.to_string_lossy()) {
            return;
        }
        self.remaining -= 1;
        if self.remaining > 0 {
            return;
        }
        writeln!(self.report, "hit {object}").unwrap();
        match fault {
            Fault::Kill => {
                let _ = kill(group_of(pid), Signal::SIGKILL);
            }
            Fault::Error(errno) => {
                // seccomp(2): a call without a number is skipped, and this is its answer.
                registers.orig_rax = u64::MAX;
                registers.rax = -(errno as i64) as u64;
                ptrace::setregs(pid, registers).unwrap();
            }
            Fault::Short => {
                match call.label() {
                    "copy_file_range" => registers.r8 = registers.r8.div_ceil(2),
                    "sendfile" => registers.r10 = registers.r10.div_ceil(2),
                    _ => registers.rdx = registers.rdx.div_ceil(2),
                }
                ptrace::setregs(pid, registers).unwrap();
            }
        }
    }

    /// What a call is about, if it is a point at all.
    fn object(&mut self, pid: Pid, call: &Call, registers: &user_regs_struct) -> Option<String> {
        let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
        let text = |index: usize| text_at(pid, arguments[index]);
        let at = |fd: usize, path: usize| -> String {
            let path = text(path);
            if path.starts_with('/') {
                return path;
            }
            let link = match arguments[fd] as i32 {
                libc::AT_FDCWD => format!("/proc/{pid}/cwd"),
                fd => format!("/proc/{pid}/fd/{fd}"),
            };
            let directory = fs::read_link(link).unwrap_or_default();
            if path.is_empty() { directory } else { directory.join(path) }.display().to_string()
        };
        let object = match call.object {
            Object::Path(path) => absolute(pid, text(path)),
            Object::At(fd, path) => at(fd, path),
            Object::Paths(from, to) => format!("{} -> {}", absolute(pid, text(from)), absolute(pid, text(to))),
            Object::Ats([a, b, c, d]) => format!("{} -> {}", at(a, b), at(c, d)),
            Object::Fd(fd) => fs::read_link(format!("/proc/{pid}/fd/{}", arguments[fd] as i32))
                .map(|target| target.display().to_string())
                .unwrap_or_default(),
            Object::None => String::new(),
        };
        let inside = object.contains(&format!("{}/", self.root.display()));
        let chosen = match call.kind {
            Kind::Read => inside,
            Kind::Write | Kind::Sync => inside || object.starts_with("/sys/fs/cgroup"),
            Kind::Open => inside || object.starts_with("/sys/fs/cgroup") || object.starts_with("/dev/"),
            Kind::Clone if call.label() == "clone3" => number_at(pid, arguments[0]) & libc::CLONE_THREAD as u64 == 0,
            Kind::Clone if call.label() == "clone" => arguments[0] & libc::CLONE_THREAD as u64 == 0,
            Kind::Socket if call.object != Object::None => self.is_netlink(pid, &object),
            _ => true,
        };
        if call.kind == Kind::Socket {
            let label = if call.object == Object::None { format!("family {}", arguments[0]) } else { "netlink".into() };
            return chosen.then_some(label);
        }
        chosen.then_some(object)
    }

    fn is_netlink(&mut self, pid: Pid, object: &str) -> bool {
        let Some(inode) = object.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) else { return false };
        // The table is of the process's own network namespace.
        let table = fs::read_to_string(format!("/proc/{pid}/net/netlink")).unwrap_or_default();
        let found = table.lines().any(|line| line.split_whitespace().last() == Some(inode));
        if found {
            self.netlink.insert(object.to_owned());
        }
        found || self.netlink.contains(object)
    }
}

fn absolute(pid: Pid, path: String) -> String {
    if path.starts_with('/') {
        return path;
    }
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    cwd.join(path).display().to_string()
}

fn memory(pid: Pid, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut memory) = File::open(format!("/proc/{pid}/mem"))
        && memory.seek(SeekFrom::Start(address)).is_ok()
    {
        let mut piece = [0; 256];
        while bytes.len() < length && !bytes.contains(&0) {
            match memory.read(&mut piece) {
                Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
                _ => break,
            }
        }
    }
    bytes
}

fn text_at(pid: Pid, address: u64) -> String {
    let bytes = memory(pid, address, 4096);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn number_at(pid: Pid, address: u64) -> u64 {
    let bytes = memory(pid, address, 8);
    bytes.get(..8).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().unwrap()))
}

/// The process of a thread.
fn group_of(pid: Pid) -> Pid {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    Pid::from_raw(group.unwrap_or(pid.as_raw()))
}

/// The same text for the same place in every run: what is random, a number or a digest is left out.
fn place(object: &str, root: &Path) -> String {
    let object = object.replace(&format!("{}/", root.display()), "");
    let mut text = String::new();
    for word in object.split_inclusive(['/', ' ', '-', '.', ':']) {
        let stem = word.trim_end_matches(['/', ' ', '-', '.', ':']);
        let all = |of: fn(&u8) -> bool| !stem.is_empty() && stem.as_bytes().iter().all(of);
        // tempfile's six letters, and names of files that have none.
        let is_random = stem.len() == 6 && all(u8::is_ascii_alphanumeric) && text.ends_with('-');
        text += match () {
            () if is_random || stem.starts_with('#') => "*",
            () if stem.len() >= 8 && all(u8::is_ascii_hexdigit) => "#",
            () if all(u8::is_ascii_digit) => "N",
            () => stem,
        };
        text += &word[stem.len()..];
    }
    text
}
