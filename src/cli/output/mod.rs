//! What people and programs read: values in, text out. No verb formats anything itself.

pub mod bundles;
pub mod disk_use;
pub mod duration;
pub mod failure;
pub mod file;
pub mod image_list;
pub mod images;
pub mod labels;
pub mod locks;
pub mod ls;
pub mod prefix;
pub mod progress;
pub mod ps;
pub mod schemas;
pub mod status;
pub mod table;
pub mod top;
pub mod writer;

pub use writer::Writer;

/// `--format table|json`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}
