//! One image: its bases are brought here, its Dockerfile becomes a plan, and the plan is carried out.

use super::{
    EXPORT, bases, event,
    request::{self, Request},
};
use crate::{
    build::{
        self, BuildError, Event, StepError,
        dockerfile::{self, nearest},
        frontend::{self, Configurations},
        op::{Base, Op, Plan, StepId},
    },
    cli::exit::Error,
    image::{self, Credentials, Image, ImageError, Progress, Reference, Report, Store},
    model::PullPolicy,
    state::Layout,
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

/// What all builds share.
pub struct Site {
    pub store: Store,
    pub layout: Layout,
    pub credentials: Credentials,
}

/// What a build tells.
pub enum News {
    Titles { build: usize, titles: Vec<(StepId, String)> },
    Event { build: usize, event: Event },
}

/// Bases are shown as steps behind all those of the plan.
const LOADS: usize = usize::MAX / 2;

/// The service, and the image that it has now. `number` tells this build from the others.
pub async fn one(
    site: &Site,
    request: Request,
    number: usize,
    news: UnboundedSender<News>,
) -> (usize, String, Result<Image, Error>) {
    let service = request.service.clone();
    let result = Build { site, number, news, loads: 0 }.run(request).await;
    (number, service, result)
}

struct Build<'a> {
    site: &'a Site,
    number: usize,
    news: UnboundedSender<News>,
    loads: usize,
}

impl Build<'_> {
    async fn run(&mut self, mut request: Request) -> Result<Image, Error> {
        let plan = self.plan(&mut request).await?;
        let mut titles: Vec<(StepId, String)> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(id, step)| (StepId(id), titled(&request.service, &step.title)))
            .collect();
        titles.push((EXPORT, format!("[{}] exporting to image", request.service)));
        let _ = self.news.send(News::Titles { build: self.number, titles });
        let (news, number) = (self.news.clone(), self.number);
        let Request { service, file, text, inputs, mut engine, frontend, .. } = request;
        engine.share.credentials = self.site.credentials.clone();
        let named = service.clone();
        let report: crate::build::Report = Arc::new(move |told| {
            let _ = news.send(match told {
                Event::Named { step, title } => {
                    News::Titles { build: number, titles: vec![(step, titled(&named, &title))] }
                }
                other => event(number, other),
            });
        });
        let image = build::build(&self.site.store, &self.site.layout, plan, inputs, engine, report)
            .await
            .map_err(|error| failed(&service, &file, &text, &error))?;
        let platform = frontend.platform.as_ref().unwrap_or(&frontend.build_platform);
        image::note_built(&self.site.store, &image, &platform.to_string())?;
        Ok(image)
    }

    /// Asks for configurations until no more are needed: a trigger of one base may lead to another.
    async fn plan(&mut self, request: &mut Request) -> Result<Plan, Error> {
        let mut known = Configurations::new();
        let Request { service, file, text, dockerfile, frontend: options, .. } = &*request;
        let mut images = BTreeMap::new();
        let planned = loop {
            let wrong = |errors: Vec<frontend::Error>| request::wrong(service, file, text, &errors);
            let missing = frontend::bases(dockerfile, options, &known).map_err(wrong)?;
            if missing.is_empty() {
                break frontend::plan(dockerfile, options, &known).map_err(wrong)?;
            }
            for base in missing {
                let (image, document) = self.base(request, &base).await?;
                images.insert(key(&base), image);
                known.insert((base.image, base.platform), document);
            }
        };
        for warning in &planned.warnings {
            let text = warning.render(&request.file, &request.text);
            let _ = self.news.send(event(self.number, Event::Warning(text)));
        }
        for step in &planned.plan.steps {
            if let Op::Base(base) = &step.op
                && !images.contains_key(&key(base))
            {
                let (image, _) = self.base(request, base).await?;
                images.insert(key(base), image);
            }
        }
        request.inputs.images = images;
        request.engine.epoch = planned.epoch;
        Ok(planned.plan)
    }

    /// An image that a stage begins with, or that files are copied from, and its configuration.
    async fn base(&mut self, request: &Request, base: &Base) -> Result<(Image, Map<String, Value>), Error> {
        let Base { image: name, platform } = base;
        let locked = request.locked.get(name).unwrap_or(name);
        let service = &request.service;
        let step = StepId(LOADS + self.loads);
        self.loads += 1;
        let foreign = if image::platform::is_host(platform) { String::new() } else { format!(" for {platform}") };
        let titles = vec![(step, format!("[{service} internal] load {locked}{foreign}"))];
        let _ = self.news.send(News::Titles { build: self.number, titles });
        let began = Instant::now();
        let refused = |error: ImageError| {
            let place = named_at(&request.file, &request.text, name);
            Error::refused(format!("service {service:?}: {error}{place}"))
        };
        let reference = Reference::parse(locked).map_err(|error| refused(error.into()))?;
        let context = request.inputs.context.as_ref().map(|context| context.dir.as_path());
        let reference = reference.absolute(context.unwrap_or(Path::new("/")));
        let pull = request.pull && !request.built.contains(name);
        let policy = if pull { PullPolicy::Always } else { PullPolicy::Missing };
        let is_here = !pull && image::find_for(&self.site.store, &reference, platform).map_err(refused)?.is_some();
        if !is_here {
            let _ = self.news.send(event(self.number, Event::Started(step)));
        }
        let report = fetched(step, self.number, self.news.clone());
        let Site { store, credentials, .. } = self.site;
        let image = image::ensure_for(store, &reference, platform, policy, credentials, report).await;
        let image = image.map_err(|error| {
            let _ = self.news.send(event(self.number, Event::Failed { step, message: error.to_string() }));
            refused(error)
        })?;
        if !is_here {
            let _ = self.news.send(event(self.number, Event::Done { step, took: began.elapsed() }));
        }
        let document = match self.site.store.configuration(&image).map_err(refused)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::refused(format!("service {service:?}: the configuration of {name}: {error}"))
            })?,
            // A directory has none.
            None => bases::bare(&image.platform),
        };
        Ok((image, document))
    }
}

/// The first line of a Dockerfile that names an image, as errors show it. The name may have been meant for a stage's.
fn named_at(file: &str, text: &str, image: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"');
    let names = |line: &str| !line.trim_start().starts_with('#') && line.split(is_between).any(|word| word == image);
    let Some((index, line)) = text.lines().enumerate().find(|(_, line)| names(line)) else { return String::new() };
    let line_number = index + 1;
    let mut told = format!("\n{file}:{line_number}\n  {line_number} | {line}");
    let stages = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_from = words.first().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        let at = words.iter().position(|word| word.eq_ignore_ascii_case("as")).filter(|_| is_from)?;
        words.get(at + 1).copied()
    });
    if let Some(stage) = nearest(image, stages) {
        told.push_str(&format!("\n  = help: no stage has this name, so that it is an image's; was {stage:?} meant?"));
    }
    told
}

/// As the engine looks for it.
fn key(base: &Base) -> String {
    format!("{} {}", base.image, base.platform)
}

/// `[web 2/5] RUN make` with the service before the stage.
fn titled(service: &str, title: &str) -> String {
    match title.strip_prefix('[') {
        Some(rest) => format!("[{service} {rest}"),
        None => format!("[{service}] {title}"),
    }
}

/// The bytes of all layers as one number.
fn fetched(step: StepId, build: usize, news: UnboundedSender<News>) -> Report {
    let layers: Mutex<HashMap<image::Digest, (u64, u64)>> = Mutex::default();
    Arc::new(move |told| {
        let Progress::Fetched { layer, bytes, total } = told else { return };
        let Ok(mut layers) = layers.lock() else { return };
        layers.insert(layer, (bytes, total));
        let (bytes, total) = layers.values().fold((0, 0), |(a, b), (bytes, total)| (a + bytes, b + total));
        let _ = news.send(event(build, Event::Fetched { step, bytes, total: Some(total).filter(|n| *n > 0) }));
    })
}

/// The step that failed, its line, and the last words of its program.
fn failed(service: &str, file: &str, text: &str, error: &BuildError) -> Error {
    let mut message = format!("service {service:?}: {error}");
    if let BuildError::Step { line, source, .. } = error {
        if *line > 0 {
            message.push_str(&format!("\n{file}:{line}\n{}", written(text, *line)));
        }
        if let StepError::Exit { output, .. } = source {
            for line in output {
                message.push_str("\n  > ");
                message.extend(line.chars().filter(|c| *c == '\t' || !c.is_control()));
            }
        }
    }
    Error::refused(message)
}

/// Lines of an instruction that are shown.
const SHOWN: usize = 30;

/// The instruction that begins in a line, as it is written.
fn written(text: &str, first: usize) -> String {
    let parsed = dockerfile::parse(text).ok();
    let instruction = parsed.iter().flat_map(|file| &file.instructions).find(|found| found.at.line == first);
    let last = instruction.map_or(first, |found| found.last_line.max(first));
    let shown = last.min(first + SHOWN - 1);
    let width = shown.to_string().len();
    let lines = text.lines().chain(std::iter::repeat("")).enumerate().skip(first.saturating_sub(1));
    let mut lines: Vec<String> = lines
        .take(shown + 1 - first)
        .map(|(index, line)| format!("  {:width$} | {line}", index + 1).trim_end().to_owned())
        .collect();
    if shown < last {
        lines.push(format!("  {:width$} | and {} lines more", "", last - shown));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_shown_with_all_its_lines() {
        let text = "FROM scratch\nRUN <<E\na\n\nE\nRUN true && \\\n  # why\n  false\nRUN x\n";
        assert_eq!(written(text, 2), "  2 | RUN <<E\n  3 | a\n  4 |\n  5 | E");
        assert_eq!(written(text, 6), "  6 | RUN true && \\\n  7 |   # why\n  8 |   false");
        assert_eq!(written(text, 9), "  9 | RUN x");
        let long = format!("FROM a\nRUN <<E\n{}E\n", "x\n".repeat(100));
        assert!(written(&long, 2).ends_with("  31 | x\n     | and 72 lines more"), "{}", written(&long, 2));
    }

    #[test]
    fn an_image_that_is_not_there_is_shown_where_it_is_named() {
        let text = "# bulder\nFROM base AS builder\nFROM base\nCOPY --from=bulder /a /b\n";
        let told = named_at("Dockerfile", text, "bulder");
        assert!(told.starts_with("\nDockerfile:4\n  4 | COPY --from=bulder /a /b"), "{told}");
        assert!(told.ends_with("was \"builder\" meant?"), "{told}");
        assert_eq!(named_at("Dockerfile", text, "base"), "\nDockerfile:2\n  2 | FROM base AS builder");
        assert_eq!(named_at("Dockerfile", text, "other"), "");
    }
}
