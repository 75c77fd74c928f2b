//! The format of the recorded cases: see `record`, which writes it.

use std::path::Path;

#[derive(Clone, Debug, Default)]
pub struct Case {
    pub title: String,
    /// Line of the title.
    pub line: usize,
    pub command: Option<String>,
    /// Name of an intended difference.
    pub differs: Option<String>,
    pub files: Vec<(String, String)>,
    pub oracle: Option<Answer>,
    /// What muster prints, where that is something else on purpose.
    pub own: Option<Answer>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Json(serde_json::Value),
    /// The lines of a list, sorted.
    Text(String),
    /// The words are for readers.
    Error(String),
}

/// Where the next line belongs.
enum Target {
    Head,
    Call,
    File,
    Oracle(String),
    Own(String),
}

pub fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut target = Target::Head;
    let mut body = String::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(title) = line.strip_prefix("=== ") {
            settle(cases.last_mut(), &target, &mut body);
            cases.push(Case { title: title.trim().to_owned(), line: number + 1, ..Case::default() });
            target = Target::Call;
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(name) = line.strip_prefix(">>> ") {
            settle(Some(case), &target, &mut body);
            case.files.push((name.trim().to_owned(), String::new()));
            target = Target::File;
        } else if let Some(kind) = line.strip_prefix("<<< ") {
            settle(Some(case), &target, &mut body);
            let kind = kind.trim();
            target = match kind.strip_prefix("muster ") {
                Some(kind) => Target::Own(kind.to_owned()),
                None => Target::Oracle(kind.to_owned()),
            };
        } else {
            match &target {
                Target::Call => match (line.strip_prefix("$ "), line.strip_prefix("~ ")) {
                    (Some(command), _) => case.command = Some(command.trim().to_owned()),
                    (_, Some(name)) => case.differs = Some(name.trim().to_owned()),
                    _ => assert!(line.trim().is_empty(), "{}: what is {line:?}?", case.title),
                },
                _ => body.push_str(line),
            }
        }
    }
    settle(cases.last_mut(), &target, &mut body);
    cases
}

fn settle(case: Option<&mut Case>, target: &Target, body: &mut String) {
    let body = std::mem::take(body);
    let Some(case) = case else { return };
    match target {
        Target::Head | Target::Call => {}
        Target::File => {
            if let Some(file) = case.files.last_mut() {
                file.1 = body;
            }
        }
        Target::Oracle(kind) => case.oracle = Some(answer(&case.title, kind, &body)),
        Target::Own(kind) => case.own = Some(answer(&case.title, kind, &body)),
    }
}

fn answer(title: &str, kind: &str, body: &str) -> Answer {
    match kind {
        "json" => Answer::Json(serde_json::from_str(body).unwrap_or_else(|error| panic!("{title}: {error}"))),
        "text" => Answer::Text(lines(body)),
        "error" => Answer::Error(body.trim().to_owned()),
        _ => panic!("{title}: there are no answers of the kind {kind:?}"),
    }
}

/// A list without its order and its columns.
pub fn lines(text: &str) -> String {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty())
        .collect();
    lines.sort();
    lines.join("\n")
}

impl Case {
    /// Writes the files below `directory`.
    pub fn write(&self, directory: &Path) {
        for (name, content) in &self.files {
            let path = directory.join(name);
            if name.ends_with('/') {
                std::fs::create_dir_all(&path).unwrap();
                continue;
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    /// As it stands in a file of cases, without the answers.
    pub fn text(&self) -> String {
        let mut out = format!("=== {}\n", self.title);
        if let Some(command) = &self.command {
            out += &format!("$ {command}\n");
        }
        for (name, content) in &self.files {
            out += &format!(">>> {name}\n{content}");
        }
        out
    }
}
