//! What is known before the first stage: build arguments, the ARGs before the first FROM, and those of the platform.

use super::{
    Options,
    env::Env,
    error::{Error, Problem},
};
use crate::{
    build::dockerfile::{Command, Dockerfile, Lexer, Place},
    model::Platform,
};

/// They reach RUN without ARG, and neither the image nor the cache's key.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

#[derive(Debug)]
pub struct Globals {
    /// Each ARG before the first FROM that has a value, and the platform's.
    pub env: Env,
    /// `KEY=VALUE`
    pub proxies: Vec<String>,
    /// Seconds since 1970.
    pub epoch: Option<i64>,
}

impl Globals {
    pub fn read(file: &Dockerfile, options: &Options, lexer: &Lexer) -> (Self, Vec<Error>) {
        let mut errors = Vec::new();
        let mut env = platform_args(file, options);
        for instruction in &file.instructions {
            let Command::Arg(args) = &instruction.command else { break };
            for arg in args {
                let value = match (options.args.get(&arg.name), &arg.default) {
                    (Some(value), _) => Some(value.clone()),
                    (None, Some(default)) => match lexer.expand(default, &|name| env.get(name).map(str::to_owned)) {
                        Ok(value) => Some(value.text),
                        Err(error) => {
                            errors.push(Error::new(arg.at, error.into()));
                            None
                        }
                    },
                    // Without a default, one before with the same name goes on.
                    (None, None) => None,
                };
                if let Some(value) = value {
                    env.set(&arg.name, &value);
                }
            }
        }
        let epoch = options.args.get("SOURCE_DATE_EPOCH").map(String::as_str).or_else(|| env.get("SOURCE_DATE_EPOCH"));
        let epoch = match epoch.filter(|text| !text.is_empty()).map(|text| (text, text.parse::<i64>())) {
            None => None,
            Some((_, Ok(seconds))) => Some(seconds),
            Some((text, Err(_))) => {
                errors.push(Error::new(Place::default(), Problem::Epoch { text: text.to_owned() }));
                None
            }
        };
        (Self { env, proxies: proxies(options), epoch }, errors)
    }
}

/// `TARGETPLATFORM` and its like, for FROM and for every ARG that names them without a default.
fn platform_args(file: &Dockerfile, options: &Options) -> Env {
    let (build, target) = (&options.build_platform, options.target_platform());
    let last = file.instructions.iter().rev().find_map(|instruction| match &instruction.command {
        Command::From(from) => Some(from.name.as_ref().map(|name| name.text.as_str())),
        _ => None,
    });
    let stage = options.target.as_deref().or(last.flatten()).unwrap_or("default");
    let mut env = Env::default();
    let mut set = |prefix: &str, platform: &Platform| {
        env.set(&format!("{prefix}PLATFORM"), &platform.to_string());
        env.set(&format!("{prefix}OS"), &platform.os);
        env.set(&format!("{prefix}OSVERSION"), "");
        env.set(&format!("{prefix}ARCH"), &platform.architecture);
        env.set(&format!("{prefix}VARIANT"), &platform.variant);
    };
    set("BUILD", build);
    set("TARGET", target);
    env.set("TARGETSTAGE", stage);
    let given: Vec<(String, String)> =
        env.names().filter_map(|name| options.args.get(name).map(|value| (name.to_owned(), value.clone()))).collect();
    given.iter().for_each(|(name, value)| env.set(name, value));
    env
}

/// Both spellings of each, whichever is given; the small letters win, as they come last.
fn proxies(options: &Options) -> Vec<String> {
    let mut found = Vec::new();
    for name in PROXIES {
        let given = options.args.iter().filter(|(given, value)| given.eq_ignore_ascii_case(name) && !value.is_empty());
        if let Some((_, value)) = given.max() {
            found.extend([format!("{name}={value}"), format!("{}={value}", name.to_ascii_lowercase())]);
        }
    }
    found
}

/// Build arguments that need no ARG.
pub fn is_predefined(name: &str) -> bool {
    let platform = ["BUILD", "TARGET"].iter().any(|prefix| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT", "STAGE"].contains(&rest)
    });
    let proxy = PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name));
    platform || proxy || name.starts_with("BUILDKIT_") || name == "SOURCE_DATE_EPOCH"
}
