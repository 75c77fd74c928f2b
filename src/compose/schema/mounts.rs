//! What is mounted into a container.

use super::forms::{FileMode, Flag, Pairs, Text, WholeSize, requires, section};
use schemars::JsonSchema;

/// Something to mount.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Mount {
    /// `[SOURCE:]TARGET[:OPTIONS]`; a source that starts with `.`, `/` or `~` is a path, any other a volume.
    Short(Text),
    Long(MountLong),
}

/// Something to mount, attribute by attribute.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = requires("type"))]
pub struct MountLong {
    /// What is mounted.
    pub r#type: MountKind,
    /// Path on the host, name of a volume or image; a temporary file system has none.
    pub source: Text,
    /// Path in the container.
    pub target: Text,
    /// Nothing can be written there. Default: false.
    pub read_only: Flag,
    /// How soon changes must be seen on the other side, where the platform has a choice.
    pub consistency: Text,
    /// Options of a bind mount.
    pub bind: BindOptions,
    /// Options of a volume.
    pub volume: VolumeOptions,
    /// Options of a temporary file system.
    pub tmpfs: TmpfsOptions,
    /// Options of an image.
    pub image: ImageOptions,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume.
    Volume,
    /// A temporary file system in memory.
    Tmpfs,
    /// A volume of a cluster, in a swarm.
    Cluster,
    /// A named pipe, on Windows.
    Npipe,
    /// The files of an image.
    Image,
}

/// Options of a bind mount.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct BindOptions {
    /// Labels for SELinux.
    pub selinux: Selinux,
    /// Whether mounts below it are seen on the other side: `private`, `shared`, `slave`, `rprivate`, `rshared` or
    /// `rslave`. Default: `rprivate`.
    pub propagation: Text,
    /// Create the path on the host if it is not there. Default: true.
    pub create_host_path: Flag,
    /// What to do with mounts below it. Default: `enabled`.
    pub recursive: Recursive,
}

#[derive(JsonSchema)]
#[schemars(inline)]
pub enum Selinux {
    /// Several containers share the files.
    #[schemars(rename = "z")]
    Shared,
    /// Only this container uses the files.
    #[schemars(rename = "Z")]
    Private,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum Recursive {
    /// They are mounted too, read-only where that can be had.
    Enabled,
    /// They are not mounted.
    Disabled,
    /// They are mounted, and can be written to.
    Writable,
    /// They are mounted read-only, or it is an error.
    Readonly,
}

/// Options of a volume.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct VolumeOptions {
    /// Labels of a volume without a name.
    pub labels: Pairs,
    /// Do not fill a new volume with the files of the image. Default: false.
    pub nocopy: Flag,
    /// Directory of the volume to mount. Default: all of it.
    pub subpath: Text,
}

/// Options of a temporary file system.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct TmpfsOptions {
    /// Its size at most. Default: no limit.
    #[schemars(range(min = 0))]
    pub size: WholeSize,
    /// Permissions of its root.
    pub mode: FileMode,
}

/// Options of an image.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct ImageOptions {
    /// Directory of the image to mount. Default: all of it.
    pub subpath: Text,
}
