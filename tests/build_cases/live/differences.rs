//! Where muster differs from the oracle on purpose: the whole list, each with its reason.
//!
//! The oracle is Docker 26.1 with BuildKit 0.13 and its built-in Dockerfile frontend, 1.7.

/// In each of `cases` a line of what differs holds `shows`, and no other line may differ.
struct Difference {
    shows: &'static str,
    cases: &'static [&'static str],
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        shows: "",
        cases: &[
            "several ARGs in one instruction",
            "ARGs go on in a stage that stands on another",
            "the stage's name is known",
            "modes",
            "a trigger that takes from a stage",
            "a list with something behind it",
            "predefined ARGs of the platform in FROM",
            "an archive and an owner",
        ],
        reason: "--chown reaches what is unpacked, A list in JSON ends its instruction, an ARG before FROM leaves what is predefined, ARG sees the ARGs before it in one instruction, RUN tells those of the stage below, TARGETSTAGE is there, --chmod takes changes, and a trigger takes from stages: newer than 1.7.",
    },
    Difference {
        shows: "muster refuses: ",
        cases: &["checks can be errors", "a check that is none"],
        reason: "`# check=` is newer than 1.7.",
    },
    Difference {
        shows: "failed to resolve source metadata for ",
        cases: &["the official frontend of a mirror", "the official frontend of a registry that holds a copy"],
        reason: "Docker asks the mirror, which is not there, for its frontend; here it is known by its name.",
    },
    Difference {
        shows: "unknown flag: ",
        cases: &[
            "parents",
            "what is left out of a copy",
            "archives are unpacked, or not",
            "downloads",
            "instructions that expand",
        ],
        reason: "--parents, --exclude and --unpack are newer than 1.7, or of its labs.",
    },
    Difference {
        shows: "",
        cases: &[
            "a layer of its own over what is there",
            "a layer of its own through a link",
            "a layer of its own with owners by name",
        ],
        reason: "Docker's own store cannot merge layers, and makes COPY --link a COPY; where BuildKit can, it is as here.",
    },
    Difference {
        shows: "/y: ",
        cases: &["a cache mount with a mode and owners"],
        reason: "Docker takes the bits of its umask from the mode of a cache, and loses the sticky one.",
    },
    Difference {
        shows: "/x: ",
        cases: &["the name of the host as a variable"],
        reason: "Here the runtime gives HOSTNAME to every program, as docker does to those of containers.",
    },
    Difference {
        shows: "/x: ",
        cases: &["what a step makes of the root itself"],
        reason: "Docker's own store forgets mode and owner of the root between two layers.",
    },
    Difference {
        shows: "xz",
        cases: &["archives by what is in them and not by name"],
        reason: "Docker unpacks xz with the program of that name, which the daemon may not find.",
    },
    Difference {
        shows: "RUBY_VERSION=",
        cases: &["an application of Ruby: gems by one stage for all"],
        reason: "Since 1.8 RUN tells the ARGs of the stage below as well.",
    },
    Difference {
        shows: "leads out of it",
        cases: &["an archive that leads out"],
        reason: "To docker the root is the destination while it unpacks, so that ../ ends there; here it is refused.",
    },
    Difference {
        shows: "open /l/through: no such file or directory",
        cases: &["an archive that writes through its own link"],
        reason: "To docker the root is the destination while it unpacks; here it is the image's.",
    },
    Difference {
        shows: "user.note",
        cases: &["extended attributes of an archive"],
        reason: "Docker's own store keeps no attribute but file capabilities.",
    },
    Difference {
        shows: "security.insecure is not allowed by build daemon configuration",
        cases: &["security"],
        reason: "The daemon would have to be told by its configuration.",
    },
    Difference {
        shows: "unexpected key 'env'",
        cases: &["a secret"],
        reason: "Secrets as variables are newer than 1.7.",
    },
    Difference {
        shows: "failed to resolve source metadata for docker.io/docker/dockerfile",
        cases: &["the official frontend is this one", "the official frontend by its whole name and digest"],
        reason: "Docker fetches the frontend that is asked for; muster's own takes its place.",
    },
    Difference {
        shows: "target stage \"0\" could not be found",
        cases: &["the target by number", "FROM of a stage further below is an image"],
        reason: "The classic builder takes a target by number, and so does muster.",
    },
    Difference {
        shows: ".history",
        cases: &["an additional context as a base"],
        reason: "Docker forgets the layer of the context in the history, and tells the next one twice.",
    },
    Difference {
        shows: "refused on line 1",
        cases: &["a directive twice"],
        reason: "Docker tells the line of the first one.",
    },
];

/// They end the daemon: a file of ARGs alone makes it look for a stage that is not there.
const DEADLY: &[&str] = &["no FROM"];

pub fn is_deadly(case: &str) -> bool {
    DEADLY.contains(&case)
}

/// Docker makes what it mounts upon in the root of a step, and leaves the directories there. Muster leaves nothing of
/// what a step is given; whoever runs the image makes these directories anew.
const MOUNT_POINTS: [&str; 4] = ["/dev", "/proc", "/sys", "/etc"];

fn is_mount_point(line: &str) -> bool {
    MOUNT_POINTS.iter().any(|path| {
        line == format!("{path}: docker dir 755 0:0, muster nothing")
            || line.starts_with("layer ") && line.ends_with(&format!(": only docker has {path}"))
    })
}

pub fn cases() -> impl Iterator<Item = &'static str> {
    DIFFERENCES.iter().flat_map(|difference| difference.cases).chain(DEADLY).copied()
}

/// What is left of `found` without what is known to differ; an error where that does not differ any more.
pub fn unexpected(case: &str, mut found: Vec<String>) -> Result<Vec<String>, String> {
    found.retain(|line| !is_mount_point(line));
    for difference in DIFFERENCES.iter().filter(|difference| difference.cases.contains(&case)) {
        let before = found.len();
        found.retain(|line| !line.contains(difference.shows));
        if found.len() == before {
            return Err(format!("{:?} is a difference no more: {}", difference.shows, difference.reason));
        }
    }
    Ok(found)
}
