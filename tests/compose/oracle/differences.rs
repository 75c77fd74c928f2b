//! What muster answers otherwise than the oracle on purpose: the whole list, each with its reason.
//!
//! The oracle is docker compose 2.26.1; muster follows v5.5. A difference either says how both answers are made alike
//! before they are compared, or is named by the cases that show it (`~ name`), which then hold muster's own answer.

use serde_json::{Map, Value};

pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    pub alike: Option<fn(&mut Value)>,
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "create_host_path",
        reason: "v5.5 leaves `create_host_path: true`, the default, out and prints `false`; 2.26.1 does it the other way round.",
        alike: Some(|project| {
            for mount in services(project).flat_map(|service| list(service, "volumes")) {
                if let Some(bind) = mount.get_mut("bind").and_then(Value::as_object_mut)
                    && bind.get("create_host_path") == Some(&Value::Bool(true))
                {
                    bind.remove("create_host_path");
                }
            }
        }),
    },
    Difference {
        name: "blkio_config",
        reason: "2.26.1 spells the keys of its lists `Path`, `Rate` and `Weight` in JSON, which no Compose file may; muster prints them as they are written.",
        alike: Some(|project| {
            for service in services(project) {
                let limits = service.get_mut("blkio_config").and_then(Value::as_object_mut);
                for device in limits.into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut).flatten() {
                    if let Some(device) = device.as_object_mut() {
                        *device = std::mem::take(device).into_iter().map(|(key, v)| (key.to_lowercase(), v)).collect();
                    }
                }
            }
        }),
    },
    Difference {
        name: "lazy operands",
        reason: "v5.5 looks only at the branch of `${A:-default}` that it takes; 2.26.1 at all of them.",
        alike: None,
    },
    Difference {
        name: "two .env files",
        reason: "v5.5 reads the `.env` of the working directory over that of the project directory; 2.26.1 only the latter.",
        alike: None,
    },
    Difference {
        name: "include merges",
        reason: "v5.5 merges what the including file and the included one both define; 2.26.1 refuses it.",
        alike: None,
    },
    Difference {
        name: "include before extends",
        reason: "In v5.5 a service can extend an included one; 2.26.1 looks for it too early.",
        alike: None,
    },
    Difference {
        name: "one form before doubles are found",
        reason: "v5.5 brings ports to their long form before it looks for doubles; 2.26.1 compares them as they are written.",
        alike: None,
    },
    Difference {
        name: "unused resources",
        reason: "v5.5 leaves out what the services named on the command line do not use; 2.26.1 prints all that any service uses.",
        alike: None,
    },
    Difference {
        name: "reset through anchors",
        reason: "v5.5 applies a `!reset` that an alias or a merge key brings; 2.26.1 only one that is written in place.",
        alike: None,
    },
    Difference {
        name: "IPv6 without brackets",
        reason: "v5.5 takes the address of `::1:80:80` to be `::1`; 2.26.1 wants brackets.",
        alike: None,
    },
    Difference { name: "days and weeks", reason: "v5.5 reads `1d` and `2w`; 2.26.1 does not.", alike: None },
    Difference {
        name: "modes as text",
        reason: "v5.5 reads a mode in quotes as octal, as one without; 2.26.1 as decimal.",
        alike: None,
    },
    Difference {
        name: "negative scale",
        reason: "v5.5 refuses a negative number of containers; 2.26.1 does not.",
        alike: None,
    },
    Difference {
        name: "container names",
        reason: "v5.5 checks how a container name is spelled; 2.26.1 does not. muster also tells of two services with one name here, not only at `up`.",
        alike: None,
    },
    Difference {
        name: "labels of volumes",
        reason: "v5.5 merges the labels of a volume by name; 2.26.1 appends them and refuses one that two files repeat.",
        alike: None,
    },
    Difference {
        name: "types of overriding values",
        reason: "A value with `!override` is text to 2.26.1, so that `!override null` is the word; to muster it is what it would be without the tag.",
        alike: None,
    },
    Difference {
        name: "spellings of env files",
        reason: "`a.env` and `./a.env` are one file to muster, read where it stands first; docker compose reads it twice, though it prints it once.",
        alike: None,
    },
    Difference {
        name: "empty items",
        reason: "An empty item of `environment`, `labels` and their like is left out; docker compose prints a name without letters, and refuses to read that again.",
        alike: None,
    },
    Difference {
        name: "empty devices",
        reason: "muster refuses a device without a path; docker compose prints permissions for nothing, and refuses to read that again.",
        alike: None,
    },
    Difference {
        name: "zero ulimits",
        reason: "A limit of 0 is 0 to muster; docker compose leaves it out of its JSON, and refuses to read that again.",
        alike: None,
    },
    Difference {
        name: "read again",
        reason: "No difference in what is printed, but what both print does not read as the same again: names whose dollars are doubled, hosts that are listed twice, a build without a context, and an optional dependency that is off.",
        alike: None,
    },
    Difference {
        name: "types of mounts",
        reason: "v5.5 knows which types of mounts there are; 2.26.1 takes any word.",
        alike: None,
    },
    Difference {
        name: "one mount a place",
        reason: "v5.5 refuses a tmpfs and a volume on one path; 2.26.1 does not see it.",
        alike: None,
    },
    Difference { name: "ssh as JSON", reason: "2.26.1 cannot print `build.ssh` as JSON.", alike: None },
    Difference { name: "ipam options", reason: "2.26.1 forgets `ipam.options`; muster keeps them.", alike: None },
    Difference {
        name: "no extensions in environment",
        reason: "2.26.1 takes `x-a` in `environment` and `labels` for an extension and prints it as `#extensions`; to muster it is a variable or label like any other.",
        alike: None,
    },
    Difference {
        name: "names of variables",
        reason: "v5.5 refuses a variable with a space before its `=`; muster a value without a name as well, wherever pairs are listed.",
        alike: None,
    },
    Difference {
        name: "environment without interpolation",
        reason: "Without interpolation muster merges `environment` to one mapping, as with it; docker compose prints a list.",
        alike: None,
    },
    Difference {
        name: "dates",
        reason: "docker compose prints a date without quotes as Go writes times (`2024-01-02 00:00:00 +0000 UTC`); muster leaves it as the file has it.",
        alike: None,
    },
    Difference {
        name: "infinity",
        reason: "2.26.1 fails at `.inf` by accident; muster prints it, as Go spells it.",
        alike: None,
    },
    Difference {
        name: "fractions",
        reason: "docker compose cuts what follows the point where a whole number is due; muster refuses it, because it is a mistake.",
        alike: None,
    },
    Difference {
        name: "negative durations",
        reason: "docker compose takes `-5s` for a time to wait; muster refuses it.",
        alike: None,
    },
    Difference {
        name: "unknown keys of extends and include",
        reason: "docker compose overlooks keys it does not know in `extends` and `include`; muster refuses them, as everywhere else.",
        alike: None,
    },
    Difference {
        name: "anchors of one document",
        reason: "docker compose lets an alias refer to an anchor of the document before; YAML does not, nor does muster.",
        alike: None,
    },
    Difference {
        name: "empty documents",
        reason: "To muster an empty document between two others changes nothing; docker compose refuses it.",
        alike: None,
    },
];

/// `project` without what the two are known to say differently.
pub fn alike(mut project: Value) -> Value {
    for difference in DIFFERENCES {
        if let Some(alike) = difference.alike {
            alike(&mut project);
        }
    }
    project
}

fn services(project: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let services = project.get_mut("services").and_then(Value::as_object_mut);
    services.into_iter().flat_map(|services| services.values_mut()).filter_map(Value::as_object_mut)
}

fn list<'a>(owner: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    owner.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}
