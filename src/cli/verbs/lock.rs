//! `muster lock`: writes down what the names of images stand for.

use crate::{
    cli::{
        apply::{self, interrupted},
        context::{Context, check_services},
        exit::{Code, Error, Outcome},
        locking::{self, Needs},
        output::{
            Format, file,
            locks::{self, Change, Row},
        },
    },
    compose::Purpose,
    image::{self, ImageError, Reference, Store, platform},
    model::{Lock, Locked, lock::Needed},
};
use futures_util::{StreamExt, stream};
use jiff::{Timestamp, Unit};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

/// Registries asked at a time.
const PARALLEL: usize = 8;

/// Pin the images of services, hooks and builds to the digests that their registries have
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Ask the registries again for what is locked, and drop what nothing uses
    #[arg(long)]
    update: bool,
    /// Write nothing; exit with 2 when the lock is not what the project needs, or with --update, when it would change
    #[arg(long)]
    check: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Services whose images are looked at; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let loaded = cx.load(&[], Purpose::Look)?;
    check_services(&locking::everything(&loaded.project), &args.services)?;
    let path = cx.lock_path(&loaded.project);
    let before = cx.read_lock(&loaded.project)?;
    let needs = locking::needs(&loaded, &cx.layout)?;
    let chosen = chosen(&args.services, &needs);
    let old = before.clone().unwrap_or_default();
    let (new, rows) = if args.check && !args.update {
        (old.clone(), compared(&old, &needs, &chosen, None))
    } else {
        let wanted: BTreeSet<&str> =
            chosen.iter().copied().filter(|image| args.update || !old.images.contains_key(*image)).collect();
        let found = resolve(cx, &wanted, &needs.images)?;
        let new = merged(&old, found, &needs.images, args.update && args.services.is_empty());
        let rows = compared(&old, &needs, &chosen, Some(&new));
        (new, rows)
    };
    let differs = rows.iter().any(|row| row.change.is_drift());
    if !args.check && (before.is_none() || new != old) {
        file::replace(&path, new.render().as_bytes()).map_err(Error::file("write", &path))?;
    }
    if !args.quiet {
        cx.out.write_all(locks::render(&rows, args.format).map_err(std::io::Error::from)?.as_bytes())?;
    }
    Ok(if args.check && differs { Code::CHANGES } else { Code::SUCCESS })
}

/// The images of the services that were named.
fn chosen<'n>(services: &[String], needs: &'n Needs) -> BTreeSet<&'n str> {
    if services.is_empty() {
        return needs.images.keys().map(String::as_str).collect();
    }
    let of = |service: &String| needs.of_service.get(service).into_iter().flatten();
    services.iter().flat_map(of).map(String::as_str).filter(|image| needs.images.contains_key(*image)).collect()
}

/// What is locked keeps its time as long as its digest is the same: then nothing has changed.
fn merged(old: &Lock, found: BTreeMap<String, Locked>, needed: &Needed, drop_unused: bool) -> Lock {
    let mut lock = old.clone();
    for (image, locked) in found {
        match lock.images.get(&image) {
            Some(there) if there.digest == locked.digest => {}
            _ => drop(lock.images.insert(image, locked)),
        }
    }
    if drop_unused {
        lock.images.retain(|image, _| needed.contains_key(image));
    }
    lock
}

/// A row an image: how `new` differs from `old`, or without it, how `old` differs from what is needed.
fn compared(old: &Lock, needs: &Needs, chosen: &BTreeSet<&str>, new: Option<&Lock>) -> Vec<Row> {
    let digest = |lock: &Lock, image: &str| lock.images.get(image).map(|locked| locked.digest.clone());
    let mut rows = Vec::new();
    let all: BTreeSet<&String> = needs.images.keys().chain(old.images.keys()).collect();
    for image in all {
        let by = needs.images.get(image);
        let (from, to) = (digest(old, image), digest(new.unwrap_or(old), image));
        let change = match (&from, &to, by.is_some()) {
            (None, None, _) => Change::Missing,
            (None, Some(_), _) => Change::Added,
            (Some(_), None, _) => Change::Removed,
            (Some(_), Some(_), false) => Change::Unused,
            (Some(from), Some(to), true) if from == to => Change::Kept,
            (Some(_), Some(_), true) => Change::Updated,
        };
        if by.is_none() || chosen.contains(image.as_str()) {
            rows.push(Row {
                image: image.clone(),
                change,
                from,
                to,
                used_by: by.into_iter().flatten().cloned().collect(),
            });
        }
    }
    rows.extend(needs.local.iter().map(|(image, by)| Row {
        image: image.clone(),
        change: Change::Local,
        from: None,
        to: None,
        used_by: by.iter().cloned().collect(),
    }));
    rows
}

/// The digests that the registries have now. All that cannot be had are told of.
fn resolve(cx: &mut Context, images: &BTreeSet<&str>, needed: &Needed) -> Result<BTreeMap<String, Locked>, Error> {
    let credentials = cx.credentials();
    let lookups = stream::iter(images.iter().copied()).map(async |image| {
        let pinned = match Reference::parse(image) {
            Ok(reference) => image::pin(&reference, &credentials).await,
            Err(error) => Err(ImageError::from(error)),
        };
        (image, pinned)
    });
    let lookups = lookups.buffer_unordered(PARALLEL).collect::<BTreeMap<_, _>>();
    let answers = apply::runtime()?.block_on(async {
        tokio::select! {
            answers = lookups => Ok(answers),
            result = interrupted() => result.and(Err(Error::Interrupted)),
        }
    })?;
    let now = Timestamp::now().round(Unit::Second).unwrap_or_else(|_| Timestamp::now()).to_string();
    let (mut found, mut failed) = (BTreeMap::new(), Vec::new());
    for (image, answer) in answers {
        match answer {
            Ok(pinned) => {
                let digest = pinned.rsplit_once('@').map_or("", |(_, digest)| digest).to_owned();
                let locked = Locked { digest, platform: Some(platform::host_name()), locked: Some(now.clone()) };
                found.insert(image.to_owned(), locked);
            }
            Err(error) => failed.push((image, error)),
        }
    }
    if failed.is_empty() { Ok(found) } else { Err(refused(cx, &failed, needed)?) }
}

fn refused(cx: &Context, failed: &[(&str, ImageError)], needed: &Needed) -> Result<Error, Error> {
    let store = Store::open(&cx.layout)?;
    let mut message = "these images cannot be locked:".to_owned();
    let mut local = false;
    for (image, error) in failed {
        let by: Vec<&str> = needed.get(*image).into_iter().flatten().map(String::as_str).collect();
        message.push_str(&format!("\n  {image} ({}): {error}", by.join(", ")));
        let here = Reference::parse(image).ok().and_then(|reference| store.find(&reference).ok().flatten()).is_some();
        if here {
            local = true;
            message.push_str("; an image of this name is on this host alone");
        }
    }
    let hint = "what only this host has can be pushed to a registry, or be named by its id (`sha256:...`)";
    Ok(Error::Refused { message, hint: local.then(|| hint.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(digest: &str, time: &str) -> Locked {
        Locked { digest: digest.into(), platform: None, locked: Some(time.into()) }
    }

    fn lock(entries: &[(&str, &str)]) -> Lock {
        Lock { images: entries.iter().map(|(image, digest)| ((*image).to_owned(), locked(digest, "then"))).collect() }
    }

    fn needs(images: &[&str]) -> Needs {
        let mut needs = Needs::default();
        for image in images {
            needs.images.entry((*image).to_owned()).or_default().insert(format!("service {image}"));
        }
        needs
    }

    #[test]
    fn what_is_locked_stays_and_what_lacks_comes() {
        let (old, needs) = (lock(&[("a", "1"), ("old", "9")]), needs(&["a", "b"]));
        let found = BTreeMap::from([("b".to_owned(), locked("2", "now"))]);
        let new = merged(&old, found, &needs.images, false);
        assert_eq!(new.images["a"], locked("1", "then"));
        let chosen = needs.images.keys().map(String::as_str).collect();
        let changes = |new| compared(&old, &needs, &chosen, new).into_iter().map(|row| (row.image, row.change));
        let told: Vec<_> = changes(Some(&new)).collect();
        assert_eq!(told, [("a".into(), Change::Kept), ("b".into(), Change::Added), ("old".into(), Change::Unused)]);
        let told: Vec<_> = changes(None).collect();
        assert_eq!(told, [("a".into(), Change::Kept), ("b".into(), Change::Missing), ("old".into(), Change::Unused)]);
    }

    #[test]
    fn an_update_keeps_the_time_of_what_is_the_same_and_drops_what_nobody_uses() {
        let (old, needs) = (lock(&[("a", "1"), ("b", "2"), ("old", "9")]), needs(&["a", "b"]));
        let found = BTreeMap::from([("a".to_owned(), locked("1", "now")), ("b".to_owned(), locked("3", "now"))]);
        let new = merged(&old, found, &needs.images, true);
        assert_eq!(new.images["a"], locked("1", "then"));
        assert_eq!(new.images["b"], locked("3", "now"));
        let chosen = needs.images.keys().map(String::as_str).collect();
        let told: Vec<_> = compared(&old, &needs, &chosen, Some(&new)).into_iter().map(|row| row.change).collect();
        assert_eq!(told, [Change::Kept, Change::Updated, Change::Removed]);
    }
}
