//! Canonical tree -> model. Every section is a table of its attributes, and every error is collected.
//!
//! What the file may say is known by now, and how it is written; here it becomes what the engine is asked for. An
//! attribute is read, or it is refused by name, or a warning says that it has no effect; none is read and ignored.

mod build;
mod cache;
mod command;
mod dependencies;
mod deploy;
mod develop;
mod environment;
mod files;
mod health;
mod hosts;
mod image;
mod logging;
mod mounts;
mod networks;
mod ports;
mod resources;
mod root;
mod security;
mod service;
mod shape;
mod value;

pub use files::FileDraft;
pub use image::check as check_image;
pub use root::{Draft, check_builds, decode};
use service::Deploy;
use shape::{At, Field};

use super::{
    canonical::units,
    diagnostics::{Diagnostic, Span},
    source::clean,
};

/// Reads values and collects what is wrong with them. A reader that returns `None` has said why.
pub struct Decoder<'a> {
    findings: &'a mut Vec<Diagnostic>,
}

impl<'a> Decoder<'a> {
    fn new(findings: &'a mut Vec<Diagnostic>) -> Self {
        Self { findings }
    }

    fn report(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// "`services.web.image` must be ...".
    fn error(&mut self, at: &At<'_>, what: impl std::fmt::Display) {
        self.report(Diagnostic::error(format!("`{}` {what}", at.path)).at(at.node.span));
    }

    fn error_with_help(&mut self, at: &At<'_>, what: impl std::fmt::Display, help: impl Into<String>) {
        self.report(Diagnostic::error(format!("`{}` {what}", at.path)).at(at.node.span).help(help));
    }

    fn warning(&mut self, at: &At<'_>, what: impl std::fmt::Display) {
        self.report(Diagnostic::warning(format!("`{}` {what}", at.path)).at(at.node.span));
    }

    /// A value of the specification that is not done yet.
    fn later(&mut self, at: &At<'_>, value: impl std::fmt::Display) {
        self.report(Diagnostic::error(format!("`{}`: {value} is not supported yet", at.path)).at(at.node.span));
    }

    /// An attribute that asks for something that is not there to be done on one host.
    fn without_effect(&mut self, path: &str, why: &str, key: Span) {
        self.report(Diagnostic::warning(format!("`{path}` has no effect: {why}")).at(key));
    }

    fn later_key(&mut self, path: &str, key: Span) {
        self.report(Diagnostic::error(format!("`{path}` is not supported yet")).at(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::schema::{Shape, shape};
    use std::collections::BTreeSet;

    /// An attribute that a table lacks is refused as not supported, whatever it is: the tables decide on each.
    #[test]
    fn the_tables_know_every_attribute_of_the_schema() {
        fn check<T>(section: &str, fields: &[Field<T>], shape: Option<&Shape>, elsewhere: &[&str]) {
            let own = fields.iter().map(|field| field.name());
            let known: BTreeSet<&str> = own.chain(elsewhere.iter().copied()).collect();
            let said: BTreeSet<&str> = shape.unwrap().keys().collect();
            assert_eq!(said.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "{section}");
            assert_eq!(known.difference(&said).collect::<Vec<_>>(), Vec::<&&str>::new(), "{section}");
        }
        let top = |section: &str| shape().property(section).and_then(Shape::any_property);
        let service = |attribute: &str| top("services").and_then(|service| service.property(attribute));
        check("the top level", root::FIELDS, Some(shape()), &[]);
        // An extended service is one tree with what it extends.
        check("services", service::FIELDS, top("services"), &["extends"]);
        check("build", build::FIELDS, service("build"), &[]);
        check("deploy", deploy::FIELDS, service("deploy"), &[]);
        let watch = service("develop").and_then(|develop| develop.property("watch")).and_then(Shape::item);
        check("develop", develop::FIELDS, service("develop"), &[]);
        check("develop.watch", develop::RULE, watch, &[]);
        check("develop.watch.exec", develop::HOOK, watch.and_then(|rule| rule.property("exec")), &[]);
        check("healthcheck", health::FIELDS, service("healthcheck"), &[]);
        check("logging", logging::FIELDS, service("logging"), &[]);
        check("ports", ports::LONG, service("ports").and_then(Shape::item), &[]);
        check("volumes of a service", mounts::LONG, service("volumes").and_then(Shape::item), &[]);
        check("networks of a service", networks::ATTACHMENT, service("networks").and_then(Shape::any_property), &[]);
        check("networks", networks::NETWORK, top("networks"), &[]);
        check("volumes", networks::VOLUME, top("volumes"), &[]);
    }
}
