//! `muster watch`: services follow the files that they are made of.

use super::converge;
use crate::{
    cli::{
        apply::{self, Order, interrupted},
        build::{self, When},
        context::Context,
        exit::{Error, Outcome},
        watch::{self, News, Options, Watch},
    },
    compose::Purpose,
    model::intent::{Intent, Up},
};
use std::io::Write;
use tokio::sync::mpsc::UnboundedReceiver;

/// Watch build context for service and rebuild/refresh containers when files are updated
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Do not build and start services before watching
    #[arg(long)]
    no_up: bool,
    /// Prune dangling images on rebuild
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    prune: bool,
    /// Hide build output
    #[arg(long)]
    quiet: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let mut loaded = cx.load(&args.services, Purpose::Run)?;
    let parallel = cx.parallel(&loaded.environment)?;
    let mode = cx.progress_mode(&loaded.environment);
    let project = loaded.project.clone();
    let options = Options { services: args.services.clone(), quiet: args.quiet, prune: args.prune, parallel };
    // What is wrong with the rules is told before anything begins.
    let (watch, news) = Watch::new(cx, &project, options)?;
    if !args.no_up {
        watch::build_first(cx, &project, &args.services, args.quiet)?;
        let selection =
            build::Selection { named: &args.services, with_dependencies: true, pull: None, when: When::Missing };
        build::prepare(cx, &project, &loaded.environment, &selection, mode)?;
        cx.bring_variants(&mut loaded.project, &selection, mode)?;
        let intent = Intent::Up(Up { services: args.services, ..Up::default() });
        let apply = converge::request(cx, loaded, intent, None)?;
        let order = Order { project: project.name, apply, mode, quiet_pull: args.quiet };
        apply::carry_out(cx, order)?;
    }
    apply::runtime()?.block_on(async {
        tokio::select! {
            ended = watch.run() => ended?,
            told = tell(cx, news) => told?,
            interrupted = interrupted() => interrupted?,
        }
        writeln!(cx.out, "Watch disabled")?;
        Err(Error::Interrupted)
    })
}

async fn tell(cx: &mut Context, mut news: UnboundedReceiver<News>) -> Result<(), Error> {
    while let Some(news) = news.recv().await {
        match news {
            News::Line(text) => writeln!(cx.out, "{text}")?,
            News::Output(line) => {
                cx.out.write_all(&line)?;
                cx.out.write_all(b"\n")?;
            }
            News::Fault(text) => {
                cx.out.flush()?;
                cx.warn(&text)?;
            }
            News::Plan(_) | News::Began | News::Over => {}
        }
        cx.out.flush()?;
    }
    Ok(())
}
