//! `muster image prune`: images that nobody uses go.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        output::duration,
        verbs::rmi::Users,
    },
    image::{Image, Pruned, Store},
};
use jiff::{SignedDuration, Timestamp};
use std::io::Write;

/// Remove unused images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// until=DURATION or TIME (made before then), label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let filters = Filters::parse(&args.filters, Timestamp::now())?;
    let warning = match args.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    if !args.force && !cx.confirm(warning)? {
        return Ok(Code::SUCCESS);
    }
    let pruned = prune(cx, args.all, &filters)?;
    tell(&pruned, cx)?;
    writeln!(cx.out, "Total reclaimed space: {}", duration::size(pruned.bytes))?;
    Ok(Code::SUCCESS)
}

fn prune(cx: &Context, all: bool, filters: &Filters) -> Result<Pruned, Error> {
    let store = Store::open(&cx.layout)?;
    let users = Users::new(&cx.layout);
    // One that is not whole has no labels and no age to ask for.
    let doomed = |image: Option<&Image>, named: bool| {
        (all || !named) && image.map_or(filters.is_empty(), |image| filters.fit(image))
    };
    Ok(store.prune(&doomed, &|id| users.of(id))?)
}

fn tell(pruned: &Pruned, cx: &mut Context) -> Result<(), Error> {
    if pruned.images.is_empty() {
        return Ok(());
    }
    writeln!(cx.out, "Deleted Images:")?;
    for image in &pruned.images {
        for name in &image.untagged {
            writeln!(cx.out, "untagged: {name}")?;
        }
        if let Some(id) = &image.deleted {
            writeln!(cx.out, "deleted: {id}")?;
        }
    }
    writeln!(cx.out)?;
    Ok(())
}

/// All have to fit.
#[derive(Clone, Debug, Default)]
struct Filters {
    until: Option<Timestamp>,
    /// Key, value, and whether it has to be there.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filters {
    fn parse(texts: &[String], now: Timestamp) -> Result<Self, Error> {
        let mut filters = Self::default();
        for text in texts {
            let wrong = || Error::Usage(format!("`{text}` is no filter: until=, label= and label!= are"));
            let label = |text: &str, wanted| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned()), wanted),
                None => (text.to_owned(), None, wanted),
            };
            if let Some(value) = text.strip_prefix("until=") {
                filters.until = Some(time(value, now).ok_or_else(|| {
                    Error::Usage(format!("until={value}: neither a duration (24h) nor a time (2026-11-22T10:00:00Z)"))
                })?);
            } else if let Some(value) = text.strip_prefix("label!=") {
                filters.labels.push(label(value, false));
            } else if let Some(value) = text.strip_prefix("label=") {
                filters.labels.push(label(value, true));
            } else {
                return Err(wrong());
            }
        }
        Ok(filters)
    }

    fn is_empty(&self) -> bool {
        self.until.is_none() && self.labels.is_empty()
    }

    fn fit(&self, image: &Image) -> bool {
        let created = image.created.as_ref().and_then(|created| created.parse::<Timestamp>().ok());
        let old = self.until.is_none_or(|until| created.is_some_and(|created| created < until));
        old && self.labels.iter().all(|(key, value, wanted)| {
            let found = image.config.labels.get(key);
            let fits = found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
            fits == *wanted
        })
    }
}

/// A duration back from now, seconds since 1970, or a time or day in one of docker's forms.
fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(duration) = text.parse::<SignedDuration>() {
        return now.checked_sub(duration).ok();
    }
    let zone = jiff::tz::TimeZone::system();
    let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(zone).ok();
    text.parse().ok().or_else(|| civil().map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_every_form() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        for text in ["24h", "1440m", "2026-11-21T10:00:00Z", "1795255200"] {
            assert_eq!(time(text, now), Some("2026-11-21T10:00:00Z".parse().unwrap()), "{text}");
        }
        assert!(time("2026-11-21", now).is_some() && time("2026-11-21T10:00:00", now).is_some());
        assert_eq!(time("yesterday", now), None);
        assert!(Filters::parse(&["size=1".into()], now).is_err());
    }
}
