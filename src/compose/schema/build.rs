//! How the image of a service is built.

use super::{
    devices::Ulimits,
    environment::ExtraHosts,
    files::FileGrant,
    forms::{Flag, List, OneOrMany, Pairs, Text, TextOrFlag, WholeSize, section},
};
use schemars::JsonSchema;

/// How the image is built.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum BuildForm {
    /// The build context: a directory, or a URL of a repository.
    Context(Text),
    Long(Build),
}

/// How the image is built, attribute by attribute.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Build {
    /// Directory, or URL of a repository, that the build can copy from. Default: the project directory.
    pub context: Text,
    /// Path of the Dockerfile in the context. Default: `Dockerfile`.
    pub dockerfile: Text,
    /// The Dockerfile itself, in place of a file.
    pub dockerfile_inline: Text,
    /// Privileges to grant to the build.
    pub entitlements: List<Text>,
    /// Values of the arguments that the Dockerfile declares. A name without a value takes it from the environment.
    pub args: Pairs,
    /// Attest how the image was built: a boolean, or parameters of the attestation.
    pub provenance: TextOrFlag,
    /// Attest what is in the image: a boolean, or parameters of the attestation.
    pub sbom: TextOrFlag,
    /// SSH agents and keys that the build can use, as `default` or `ID=PATH`.
    pub ssh: Pairs,
    /// Labels of the image.
    pub labels: Pairs,
    /// Images and other places to take cached layers from.
    pub cache_from: List<Text>,
    /// Places to store cached layers in.
    pub cache_to: List<Text>,
    /// Build every layer anew. Default: false.
    pub no_cache: Flag,
    /// Stages to build anew.
    pub no_cache_filter: OneOrMany,
    /// More contexts, by name: directories, URLs, `docker-image://IMAGE` or `service:NAME`.
    pub additional_contexts: Pairs,
    /// Pull the images that the build starts from, even if they are there. Default: false.
    pub pull: Flag,
    /// Names for `/etc/hosts` during the build.
    pub extra_hosts: ExtraHosts,
    /// Isolation technology of the build, on Windows.
    pub isolation: Text,
    /// Network of the build: `default`, `none`, `host` or the name of a network.
    pub network: Text,
    /// Stage of the Dockerfile to stop at. Default: the last.
    pub target: Text,
    /// Secrets that the build can read.
    pub secrets: List<FileGrant>,
    /// Size of `/dev/shm` during the build.
    pub shm_size: WholeSize,
    /// More names for the image.
    pub tags: List<Text>,
    /// Limits of processes during the build, by name.
    pub ulimits: Ulimits,
    /// Platforms to build for, such as `linux/arm64`. Default: the one of the service.
    pub platforms: List<Text>,
    /// Let the build do all that the host can do. Default: false.
    pub privileged: Flag,
}
