//! The system calls at which faults are injected: what they take, and what may go wrong with them.

use nix::errno::Errno;

/// Where the arguments of a call name its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    Path(usize),
    /// A directory's descriptor and a path.
    At(usize, usize),
    /// Two paths, the second of which is made.
    Paths(usize, usize),
    Ats([usize; 4]),
    Fd(usize),
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes, renames or removes a name.
    Name,
    Sync,
    Open,
    Write,
    Read,
    Attribute,
    Lock,
    /// Mounts, namespaces, programs.
    Kernel,
    /// New processes, and threads, which are left alone.
    Clone,
    Socket,
}

pub struct Call {
    pub number: i64,
    pub name: &'static str,
    pub object: Object,
    pub kind: Kind,
}

macro_rules! calls {
    ($($kind:ident { $($name:ident $object:expr),* $(,)? })*) => {
        pub const CALLS: &[Call] = &[$($(Call {
            number: nix::libc::$name,
            name: stringify!($name),
            object: { use Object::*; $object },
            kind: Kind::$kind,
        }),*),*];
    };
}

calls! {
    Name {
        SYS_rename Paths(0, 1), SYS_renameat Ats([0, 1, 2, 3]), SYS_renameat2 Ats([0, 1, 2, 3]),
        SYS_link Paths(0, 1), SYS_linkat Ats([0, 1, 2, 3]), SYS_symlink Path(1), SYS_symlinkat At(1, 2),
        SYS_unlink Path(0), SYS_unlinkat At(0, 1), SYS_rmdir Path(0),
        SYS_mkdir Path(0), SYS_mkdirat At(0, 1), SYS_mknod Path(0), SYS_mknodat At(0, 1),
    }
    Sync { SYS_fsync Fd(0), SYS_fdatasync Fd(0), SYS_syncfs Fd(0) }
    Open { SYS_open Path(0), SYS_openat At(0, 1), SYS_openat2 At(0, 1), SYS_creat Path(0) }
    Write {
        SYS_write Fd(0), SYS_pwrite64 Fd(0), SYS_writev Fd(0), SYS_pwritev Fd(0), SYS_ftruncate Fd(0),
        SYS_fallocate Fd(0), SYS_copy_file_range Fd(2), SYS_sendfile Fd(0),
    }
    Read { SYS_read Fd(0), SYS_pread64 Fd(0), SYS_readv Fd(0), SYS_getdents64 Fd(0) }
    Attribute {
        SYS_chmod Path(0), SYS_fchmod Fd(0), SYS_fchmodat At(0, 1), SYS_chown Path(0), SYS_lchown Path(0),
        SYS_fchown Fd(0), SYS_fchownat At(0, 1), SYS_utimensat At(0, 1), SYS_setxattr Path(0), SYS_lsetxattr Path(0),
        SYS_fsetxattr Fd(0),
    }
    Lock { SYS_flock Fd(0) }
    Kernel {
        SYS_mount Path(1), SYS_umount2 Path(0), SYS_fsopen None, SYS_fsconfig None, SYS_fsmount None,
        SYS_move_mount None, SYS_open_tree At(0, 1), SYS_mount_setattr At(0, 1), SYS_pivot_root Path(1),
        SYS_unshare None, SYS_setns None, SYS_execve Path(0),
    }
    Clone { SYS_clone None, SYS_clone3 None, SYS_fork None, SYS_vfork None }
    Socket { SYS_socket None, SYS_sendto Fd(0), SYS_sendmsg Fd(0) }
}

impl Call {
    /// Without the prefix of its constant.
    pub fn label(&self) -> &'static str {
        self.name.trim_start_matches("SYS_")
    }

    pub fn of(number: i64) -> Option<&'static Self> {
        CALLS.iter().find(|call| call.number == number)
    }
}

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, before the call has done anything.
    Kill,
    /// The call does nothing and answers this.
    Error(Errno),
    /// Half of what was asked for is read or written.
    Short,
}

/// Everything that can be wrong with a call.
pub fn faults(call: &Call) -> Vec<Fault> {
    use Fault::{Error, Kill, Short};
    match call.kind {
        Kind::Name => vec![Kill, Error(Errno::ENOSPC), Error(Errno::EIO)],
        Kind::Sync => vec![Kill, Error(Errno::EIO), Error(Errno::ENOSPC)],
        Kind::Open => vec![Kill, Error(Errno::EMFILE), Error(Errno::EIO), Error(Errno::ENOSPC)],
        Kind::Write if matches!(call.label(), "ftruncate" | "fallocate") => {
            vec![Kill, Error(Errno::ENOSPC), Error(Errno::EIO)]
        }
        Kind::Write => vec![Kill, Error(Errno::ENOSPC), Error(Errno::EIO), Error(Errno::EDQUOT), Short],
        Kind::Read if call.label() == "getdents64" => vec![Error(Errno::EIO), Error(Errno::ENOMEM)],
        Kind::Read => vec![Error(Errno::EIO), Error(Errno::EINTR), Short],
        Kind::Attribute => vec![Kill, Error(Errno::EIO), Error(Errno::ENOSPC)],
        Kind::Lock => vec![Kill, Error(Errno::ENOLCK)],
        Kind::Kernel => vec![Kill, Error(Errno::ENOMEM)],
        Kind::Clone => vec![Kill, Error(Errno::EAGAIN)],
        Kind::Socket => vec![Kill, Error(Errno::ENOBUFS)],
    }
}

impl Fault {
    pub fn word(self) -> String {
        match self {
            Self::Kill => "SIGKILL".into(),
            Self::Short => "short".into(),
            Self::Error(errno) => format!("{errno:?}"),
        }
    }

    pub fn parse(word: &str) -> Self {
        use Errno::*;
        match word {
            "SIGKILL" => Self::Kill,
            "short" => Self::Short,
            _ => Self::Error(
                [ENOSPC, EIO, EMFILE, EDQUOT, EINTR, ENOMEM, ENOLCK, EAGAIN, ENOBUFS]
                    .into_iter()
                    .find(|errno| format!("{errno:?}") == word)
                    .expect("a fault"),
            ),
        }
    }
}
