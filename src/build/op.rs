//! What a build carries out, as plain data: the frontend writes a `Plan`, the engine carries it out and asks nothing
//! about Dockerfiles any more.
//!
//! Every name is resolved before it stands here: paths are absolute, arguments and variables are expanded, stages are
//! steps. What depends on a file system (globs, names of users, whether a directory exists) is the engine's.
//!
//! An image, whether a stage begins with it or a step only copies from it, is a `Base` step.

use super::remote::GitUrl;
use std::collections::BTreeMap;

/// The steps of one image. Each stands after those that it needs; there is no step that the outcome does not need.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub outcome: Outcome,
}

/// The place of a step in `Plan::steps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub op: Op,
    /// `[web 2/5] RUN make`
    pub title: String,
    /// The line of the Dockerfile that asks for it, from 1; 0 where none does.
    pub line: usize,
    /// It is carried out anew even where the cache has its result.
    pub no_cache: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Base(Base),
    Run(Run),
    Copy(Copy),
    Mkdir(Mkdir),
}

/// The files of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// As it is written, but expanded: `alpine:3.20`, `docker.io/library/x@sha256:...`. `scratch` is no image: a step
    /// over it has no root.
    pub image: String,
    /// `linux/arm64/v8`
    pub platform: String,
}

/// `RUN`: a program in a container whose changes become a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The step whose files it stands on; `None` is an empty root.
    pub root: Option<StepId>,
    /// With the shell before it, where the form is the shell's.
    pub args: Vec<String>,
    /// Files that are there while it runs: heredocs that begin with `#!`.
    pub files: Vec<InlineFile>,
    /// `KEY=VALUE`, later ones win; build arguments are among them. PATH is the frontend's to default.
    pub env: Vec<String>,
    /// As `env`, but no part of the cache's key and not in the image: the proxies.
    pub proxy_env: Vec<String>,
    /// `name|uid[:group|gid]`; empty is root.
    pub user: String,
    /// Absolute; made where it is missing.
    pub cwd: String,
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub security: Security,
    /// (name, address or `host-gateway`)
    pub extra_hosts: Vec<(String, String)>,
    /// Bytes of /dev/shm; `None` is Docker's 64 MiB.
    pub shm_size: Option<u64>,
    /// `nofile` -> (soft, hard); -1 is no limit.
    pub ulimits: BTreeMap<String, (i64, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A network namespace of its own, with a way out.
    Default,
    /// Loopback alone.
    None,
    /// The host's; refused unless the build is given `network.host`.
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Sandbox,
    /// Privileged; refused unless the build is given `security.insecure`.
    Insecure,
}

/// Where files are read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The build context, without what its ignore file names.
    Context,
    /// A directory given as an additional context under this name.
    Named(String),
    /// The files of another step.
    Step(StepId),
    /// No files at all.
    Scratch,
}

/// `RUN --mount`. Targets are absolute.
#[derive(Clone, Debug, PartialEq)]
pub enum Mount {
    Bind {
        from: Source,
        /// Below the source's root.
        source: String,
        target: String,
        /// Writes are possible; they are thrown away.
        writable: bool,
    },
    Cache {
        id: String,
        target: String,
        sharing: Sharing,
        read_only: bool,
        /// What a fresh cache begins with: a directory of these files.
        from: Source,
        source: String,
        /// Of one that begins with nothing or with a root; any other directory keeps its own, and its owner.
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Tmpfs {
        target: String,
        /// Bytes.
        size: Option<u64>,
    },
    Secret {
        id: String,
        /// Where its file stands; `None` with `env` alone.
        target: Option<String>,
        /// The variable that holds it.
        env: Option<String>,
        required: bool,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// The socket of an agent.
    Ssh {
        id: String,
        /// `None`: `/run/buildkit/ssh_agent.N`, N counting from 0. The first of a step is SSH_AUTH_SOCK.
        target: Option<String>,
        required: bool,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Shared,
    /// Each that runs at the same time has its own.
    Private,
    /// One waits for the other.
    Locked,
}

/// `COPY` and `ADD`.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// With `link` it is only what the new layer is stacked on.
    pub root: Option<StepId>,
    pub sources: Vec<CopySource>,
    /// Absolute. A slash at its end (`/`, `/dir/`, and what was `.` or `dir/.`) says: a directory.
    pub destination: String,
    /// `user[:group]`, names or numbers. With `None` files of a step keep their owner, all others are root's.
    pub chown: Option<String>,
    pub chmod: Option<Chmod>,
    /// The layer does not look at what it is stacked on.
    pub link: bool,
    /// Sources keep their parent directories, from the pivot `/./` on where one is written.
    pub parents: bool,
    /// Patterns in the syntax of ignore files, relative to the root of the source.
    pub exclude: Vec<String>,
    pub unpack: Unpack,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// A path or glob below the root of `from`, as it is written.
    Path { from: Source, path: String },
    /// A heredoc.
    Inline(InlineFile),
    /// `http` or `https`.
    Url {
        url: String,
        /// `sha256:...`
        checksum: Option<String>,
    },
    /// What is in a repository.
    Git { url: GitUrl, keep_git_dir: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct InlineFile {
    /// In `Copy` the file's name; in `Run` the absolute path (`/dev/pipes/EOF`).
    pub name: String,
    pub content: Vec<u8>,
    pub mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chmod {
    Octal(u32),
    /// `u=rwX,go=rX`, verified by the frontend.
    Symbolic(String),
}

/// Which archives are replaced by their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpack {
    /// `COPY`, `ADD --unpack=false`
    Never,
    /// `ADD`: those of contexts and stages, not downloads.
    Local,
    /// `ADD --unpack`
    All,
}

/// `WORKDIR`: a directory and its missing parents, 0755.
#[derive(Clone, Debug, PartialEq)]
pub struct Mkdir {
    pub root: Option<StepId>,
    pub path: String,
    /// Owner of what is made, as `USER` says it; empty is root.
    pub user: String,
}

/// The image that the steps lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whose layers it has; `None` is an image without files.
    pub root: Option<StepId>,
    /// The configuration document (`architecture`, `os`, `config`, ...) without `created`, `rootfs` and `history`,
    /// which the engine adds.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The base's first.
    pub history: Vec<History>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum History {
    /// An entry of the base's configuration, unchanged.
    Inherited(serde_json::Value),
    Made {
        /// `RUN /bin/sh -c make # buildkit`
        created_by: String,
        comment: String,
        author: String,
        /// The step that made its layer; `None` where only the configuration changed.
        step: Option<StepId>,
    },
}

impl Plan {
    /// The steps that the outcome is stacked of, the lowest first.
    pub fn chain(&self) -> Vec<StepId> {
        let mut chain: Vec<StepId> = Vec::new();
        let mut at = self.outcome.root;
        while let Some(id) = at.filter(|id| chain.last().is_none_or(|above| id < above)) {
            chain.push(id);
            at = self.steps.get(id.0).and_then(|step| step.op.root());
        }
        chain.reverse();
        chain
    }
}

impl Op {
    /// Whether it puts a layer upon its root.
    pub fn makes_layer(&self) -> bool {
        !matches!(self, Self::Base(_))
    }

    /// The steps whose files it reads, in the order they are named; its root is among them.
    pub fn needs(&self) -> Vec<StepId> {
        let mut needs = Vec::new();
        let step = |source: &Source| if let Source::Step(id) = source { Some(*id) } else { None };
        match self {
            Self::Base(_) => {}
            Self::Mkdir(mkdir) => needs.extend(mkdir.root),
            Self::Copy(copy) => {
                needs.extend(copy.root);
                needs.extend(copy.sources.iter().filter_map(|source| match source {
                    CopySource::Path { from, .. } => step(from),
                    CopySource::Inline(_) | CopySource::Url { .. } | CopySource::Git { .. } => None,
                }));
            }
            Self::Run(run) => {
                needs.extend(run.root);
                needs.extend(run.mounts.iter().filter_map(|mount| match mount {
                    Mount::Bind { from, .. } | Mount::Cache { from, .. } => step(from),
                    Mount::Tmpfs { .. } | Mount::Secret { .. } | Mount::Ssh { .. } => None,
                }));
            }
        }
        needs
    }

    /// The step that it is stacked on.
    pub fn root(&self) -> Option<StepId> {
        match self {
            Self::Base(_) => None,
            Self::Run(run) => run.root,
            Self::Copy(copy) => copy.root,
            Self::Mkdir(mkdir) => mkdir.root,
        }
    }
}
