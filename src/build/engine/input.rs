//! What a build is given besides its plan.

use super::{copy::find::Origin, remote::Access, share::Share};
use crate::{
    build::{dockerfile::Patterns, op::Base},
    image::{Image, Reference},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// A directory that files are read from.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub dir: PathBuf,
    /// What of it is not there for the build.
    pub ignore: Patterns,
}

/// What the steps of a plan name.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `None` for a Dockerfile that comes alone.
    pub context: Option<Context>,
    /// Additional contexts, by name.
    pub named: BTreeMap<String, Context>,
    /// Every image of a `Base` step, by `op::Base::image`, with a blank and the platform behind it where stages begin
    /// with it for several; all are in the store.
    pub images: BTreeMap<String, Image>,
    pub secrets: BTreeMap<String, Secret>,
    /// Sockets of agents.
    pub ssh: BTreeMap<String, PathBuf>,
    /// For repositories that steps add.
    pub access: Access,
}

#[derive(Clone)]
pub enum Secret {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Secret {
    /// Not its bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(_) => f.write_str("Bytes(..)"),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of the image.
    pub names: Vec<Reference>,
    /// SOURCE_DATE_EPOCH: no file is younger, and this is when the image was created.
    pub epoch: Option<i64>,
    /// Steps at once; `None` is as many as there are processors, four at least.
    pub parallel: Option<usize>,
    /// `network.host`
    pub allow_host_network: bool,
    /// `security.insecure`
    pub allow_insecure: bool,
    /// `cache_from`, `cache_to`
    pub share: Share,
}

impl Inputs {
    pub(super) fn image(&self, base: &Base) -> Option<&Image> {
        let of_platform = self.images.get(&format!("{} {}", base.image, base.platform));
        of_platform.or_else(|| self.images.get(&base.image))
    }
}

impl Context {
    /// A file of it that is not led out of by links, its beginning at least; `None` where there is none.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        super::view::View::open([&self.dir])?.read(path, limit)
    }

    pub(super) fn origin(&self) -> io::Result<Origin> {
        let view = super::view::View::open([&self.dir])?;
        Ok(Origin { view, ignore: self.ignore.clone(), foreign: true })
    }
}
