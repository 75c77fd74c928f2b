//! `muster load`: images from an archive, as `docker save` or any OCI tool writes it.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        fetch,
        output::progress::Mode,
    },
    image::{self, Reference, Store},
};
use std::{fs::File, io::Write, os::fd::AsFd, path::PathBuf};

/// Load images from an archive
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Read from an archive file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let (file, path) = match &args.input {
        Some(path) => (File::open(cx.env.cwd.join(path)).map_err(Error::file("open", path))?, path.clone()),
        None => {
            let stdin = std::io::stdin();
            let fd = stdin.as_fd().try_clone_to_owned().map_err(Error::system("read standard input"))?;
            if std::io::IsTerminal::is_terminal(&stdin) {
                return Err(Error::Usage("nothing to read: give a file with --input, or pipe an archive in".into()));
            }
            (File::from(fd), PathBuf::from("(standard input)"))
        }
    };
    let store = Store::open(&cx.layout)?;
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&cx.env.variables.clone()) };
    let name = path.display().to_string();
    let images = fetch::load(cx, &name, mode, async |report| image::load(&store, file, &path, report).await)?;
    for image in images.iter().filter(|_| !args.quiet) {
        match &image.reference {
            Reference::Id(_) => writeln!(cx.out, "Loaded image ID: {}", image.id)?,
            name => writeln!(cx.out, "Loaded image: {}", name.familiar())?,
        }
    }
    Ok(Code::SUCCESS)
}
