//! A service: what its containers run, and under which conditions.

use super::{
    block_io::BlockIo,
    build::BuildForm,
    dependencies::{DependsOn, Extends},
    deploy::Deploy,
    develop::Develop,
    devices::{Device, Gpus, Ulimits},
    environment::{EnvFiles, ExtraHosts},
    files::FileGrant,
    forms::{
        Any, Command, Duration, Flag, Integer, List, Map, Nullable, Number, OneOrMany, Pairs, PlainFlag, Rounded, Size,
        Strings, Text, TextNumberOrNull, TextOrNull, TextOrNumber, Unique, WholeSize, section,
    },
    health::Healthcheck,
    hooks::{Hook, PreStartHook},
    models::ModelUse,
    mounts::Mount,
    network::Attachments,
    patterns,
    ports::Port,
    provider::Provider,
};
use schemars::JsonSchema;

/// Containers of one kind: an image, and how to run it.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Service {
    /// The service runs only if one of these profiles is active. Default: it always runs.
    pub profiles: Strings,
    /// Annotations of the container for the runtime.
    pub annotations: Pairs,
    /// Show the output of the service in `up`. Default: true.
    pub attach: Flag,
    /// How to build the image, where it is not pulled.
    pub build: BuildForm,
    /// What to do when files change while you develop.
    pub develop: Nullable<Develop>,
    /// Share of the block devices, and limits on them.
    pub blkio_config: BlockIo,
    /// Capabilities of Linux in addition to the usual ones, such as `NET_ADMIN`; `ALL` for all.
    pub cap_add: Strings,
    /// Capabilities of Linux to take away; `ALL` for all.
    pub cap_drop: Strings,
    /// Control group to create the one of the container in.
    pub cgroup_parent: Text,
    /// Namespace of control groups. Default: `private`.
    pub cgroup: Cgroup,
    /// Number of processors, on Windows.
    #[schemars(range(min = 0))]
    pub cpu_count: Integer,
    /// Share of the processors in percent, on Windows.
    #[schemars(range(min = 0, max = 100))]
    pub cpu_percent: Integer,
    /// Period of the limit on processor time, in microseconds.
    pub cpu_period: Rounded,
    /// Processor time in each period, in microseconds.
    pub cpu_quota: Rounded,
    /// Period of the real-time scheduler, in microseconds.
    pub cpu_rt_period: Rounded,
    /// Time for the real-time scheduler in each period, in microseconds.
    pub cpu_rt_runtime: Rounded,
    /// Number of processors that the container may use at most, such as 0.5. Default: all.
    pub cpus: Number,
    /// Processors that the container may run on, such as `0-3,5`. Default: all.
    pub cpuset: Text,
    /// Weight against other containers when processor time is scarce. Default: 1024.
    pub cpu_shares: Rounded,
    /// What to run, in place of the command of the image. An empty list or string clears it.
    pub command: Command,
    /// Configs that the service can read.
    pub configs: List<FileGrant>,
    /// Name of the container, in place of the one made of project, service and number. The service cannot be scaled then.
    #[schemars(extend("title" = "container name", "pattern" = patterns::CONTAINER_NAME))]
    pub container_name: Text,
    /// Credentials of a managed account, on Windows.
    pub credential_spec: CredentialSpec,
    /// Services that start before this one, and stop after it.
    pub depends_on: DependsOn,
    /// How many containers to run and with which resources.
    pub deploy: Nullable<Deploy>,
    /// Devices that the container may use, as rules of its control group, such as `c 1:3 mr`.
    pub device_cgroup_rules: Strings,
    /// Devices of the host, as `HOST[:CONTAINER[:PERMISSIONS]]` or in the long form.
    pub devices: List<Device>,
    /// Name servers to ask for names outside of the project. Default: those of the host.
    pub dns: OneOrMany,
    /// Options for the resolver of the container.
    pub dns_opt: Strings,
    /// Domains to search for short names.
    pub dns_search: OneOrMany,
    /// Domain name of the container.
    pub domainname: Text,
    /// What to run in place of the entrypoint of the image; the image's command is dropped too. An empty list or string
    /// clears it.
    pub entrypoint: Command,
    /// A program that manages the service in place of containers.
    pub provider: Provider,
    /// Variables for the processes. A name without a value takes it from the environment of the command.
    pub environment: Pairs,
    /// Files with variables for the processes; a later file wins, and `environment` wins over all.
    pub env_file: EnvFiles,
    /// Ports that the service listens on, for information: services of one network reach all ports.
    pub expose: Unique<TextOrNumber>,
    /// A service to start from, of this file or of another.
    pub extends: Extends,
    /// Containers of other projects to link to, as `CONTAINER[:ALIAS]`.
    pub external_links: Strings,
    /// Names for `/etc/hosts`, as `NAME=ADDRESS`; the address `host-gateway` is the host.
    pub extra_hosts: ExtraHosts,
    /// Groups of the user in addition to those of the image.
    pub group_add: Unique<TextOrNumber>,
    /// GPUs for the container.
    pub gpus: Gpus,
    /// Host name of the container. Default: the short form of its ID.
    pub hostname: Text,
    /// How to tell that the container works.
    pub healthcheck: Healthcheck,
    /// The image: a name with a tag or digest.
    pub image: Text,
    /// Run a small init process, which forwards signals and reaps orphans, as PID 1. Default: false.
    pub init: Flag,
    /// IPC namespace: `private`, `shareable`, `host`, `service:NAME` or `container:NAME`. Default: `private`.
    pub ipc: Text,
    /// Isolation technology, on Windows.
    pub isolation: Text,
    /// Labels of the container.
    pub labels: Pairs,
    /// Files with labels of the container; `labels` wins.
    pub label_file: LabelFiles,
    /// Services to reach under other names, as `SERVICE[:ALIAS]`.
    pub links: Strings,
    /// Where the output of the container goes.
    pub logging: Logging,
    /// Memory that the container may use at most.
    pub mem_limit: Size,
    /// Memory that the container should have when memory is scarce.
    pub mem_reservation: WholeSize,
    /// Memory and swap together that the container may use at most; -1 for no limit.
    pub memswap_limit: Size,
    /// How readily memory is swapped out, from 0 to 100.
    pub mem_swappiness: WholeSize,
    /// Hardware address of the container.
    pub mac_address: Text,
    /// Language models that the service uses.
    pub models: ModelUse,
    /// Network of its own kind: `host`, `none`, `bridge`, `service:NAME` or `container:NAME`. Not together with `networks`.
    pub network_mode: Text,
    /// Networks to join. Default: `default`.
    pub networks: Attachments,
    /// Do not kill the container when memory runs out. Default: false.
    pub oom_kill_disable: Flag,
    /// How readily the container is killed when the memory of the host runs out, from -1000 to 1000.
    #[schemars(range(min = -1000, max = 1000))]
    pub oom_score_adj: Integer,
    /// PID namespace: `host`, `service:NAME` or `container:NAME`. Default: one of its own.
    pub pid: TextOrNull,
    /// Number of processes that the container may have at most; -1 for no limit.
    pub pids_limit: Rounded,
    /// Platform of the image, such as `linux/amd64`. Default: the one of the host.
    pub platform: Text,
    /// Ports to publish on the host, as `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]` or in the long form.
    pub ports: Unique<Port>,
    /// Let the container do all that the host can do. Default: false.
    pub privileged: Flag,
    /// When to pull the image: `always`, `never`, `missing`, `build`, `daily`, `weekly` or `every_` with a time such as
    /// `every_12h`. Default: `missing`.
    #[schemars(extend("title" = "pull policy", "pattern" = patterns::PULL_POLICY))]
    pub pull_policy: Text,
    /// Age at which the image is pulled again, with `pull_policy: refresh`.
    pub pull_refresh_after: Text,
    /// Make the root file system of the container read-only. Default: false.
    pub read_only: Flag,
    /// What to do when the container ends: `no`, `always`, `unless-stopped` or `on-failure[:TIMES]`. Default: `no`.
    pub restart: Text,
    /// Runtime of the engine to run the container with.
    pub runtime: Text,
    /// Number of containers; the same as `deploy.replicas`. Default: 1.
    pub scale: Integer,
    /// Secrets that the service can read.
    pub secrets: List<FileGrant>,
    /// Security options, such as `no-new-privileges` and `seccomp=PROFILE`.
    pub security_opt: Strings,
    /// Size of `/dev/shm`. Default: 64m.
    pub shm_size: Size,
    /// Keep standard input open. Default: false.
    pub stdin_open: Flag,
    /// Time between the signal to stop and SIGKILL. Default: 10s.
    pub stop_grace_period: Duration,
    /// Signal that asks the container to stop. Default: that of the image, or SIGTERM.
    pub stop_signal: Text,
    /// Options of the storage driver, such as `size`.
    pub storage_opt: Map<Any>,
    /// Parameters of the kernel that the container has for itself.
    pub sysctls: Pairs,
    /// Temporary file systems in memory, as `PATH[:OPTIONS]`.
    pub tmpfs: OneOrMany,
    /// Give the container a terminal. Default: false.
    pub tty: Flag,
    /// Limits of processes, by name.
    pub ulimits: Ulimits,
    /// Give the container the socket of the engine, with credentials. Default: false.
    pub use_api_socket: PlainFlag,
    /// Who runs the processes: a name or number, and a group after a colon. Default: as the image says.
    pub user: Text,
    /// User namespace; `host` for the one of the host.
    pub userns_mode: Text,
    /// UTS namespace; `host` for the one of the host.
    pub uts: Text,
    /// What to mount, as `[SOURCE:]TARGET[:OPTIONS]` or in the long form.
    pub volumes: Unique<Mount>,
    /// Services or `container:NAME`s whose mounts the container has too; `:ro` after the name for read-only.
    pub volumes_from: Strings,
    /// Directory that the processes start in. Default: as the image says.
    pub working_dir: Text,
    /// Commands to run to the end, in containers of their own, before the service starts.
    pub pre_start: List<PreStartHook>,
    /// Commands to run in the container after it has started.
    pub post_start: List<Hook>,
    /// Commands to run in the container before it is stopped.
    pub pre_stop: List<Hook>,
}

/// Namespace of control groups.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum Cgroup {
    /// The one of the host.
    Host,
    /// One of its own.
    Private,
}

/// Credentials of a managed account, on Windows.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct CredentialSpec {
    /// Config with the specification.
    pub config: Text,
    /// File with the specification.
    pub file: Text,
    /// Value of the registry with the specification.
    pub registry: Text,
}

/// Files with labels.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub enum LabelFiles {
    One(Text),
    Many(List<Text>),
}

/// Where the output of the container goes.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Logging {
    /// Name of the log driver, such as `json-file`.
    pub driver: Text,
    /// Options of the driver, such as `max-size`.
    pub options: Map<TextNumberOrNull>,
}
