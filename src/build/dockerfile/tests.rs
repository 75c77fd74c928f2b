//! Whole files: text in, instructions or errors out, each in one line.

use super::*;

/// `LINE:COLUMN[-LAST] command`, or the errors.
fn read(text: &str) -> String {
    match parse(text) {
        Ok(file) => file.instructions.iter().map(|one| format!("{}\n", show(one))).collect(),
        Err(errors) => {
            errors.iter().map(|error| format!("{}:{} {}\n", error.at.line, error.at.column, error.kind)).collect()
        }
    }
}

fn show(instruction: &Instruction) -> String {
    let Place { line, column } = instruction.at;
    let last = if instruction.last_line == line { String::new() } else { format!("-{}", instruction.last_line) };
    let name = instruction.command.name();
    let flag = |name: &str, word: &Option<Word>| {
        word.as_ref().map(|word| format!(" --{name}={}", word.text)).unwrap_or_default()
    };
    let texts = |words: &[Word]| words.iter().map(|word| format!(" {:?}", word.text)).collect::<String>();
    let heredocs = |all: &[Heredoc]| {
        let one = |doc: &Heredoc| {
            let signs = format!("{}{}", if doc.chomp { "-" } else { "" }, if doc.expand { "" } else { "'" });
            format!(" <<{signs}{}={:?}", doc.name, doc.text())
        };
        all.iter().map(one).collect::<String>()
    };
    let line_of = |command: &CommandLine| match command {
        CommandLine::Shell(text) => format!(" {text:?}"),
        CommandLine::Exec(words) => format!(" {words:?}"),
    };
    let rest = match &instruction.command {
        Command::From(from) => {
            format!("{} {:?}{}", flag("platform", &from.platform), from.base.text, flag("as", &from.name))
        }
        Command::Run(run) => {
            let mounts: String = run.mounts.iter().map(|mount| format!(" --mount={}", mount.options.text)).collect();
            let flags = flag("network", &run.network) + &flag("security", &run.security);
            format!("{mounts}{flags}{}{}", line_of(&run.command), heredocs(&run.heredocs))
        }
        Command::Copy(copy) | Command::Add(copy) => {
            let mut flags = flag("from", &copy.from) + &flag("chown", &copy.chown) + &flag("chmod", &copy.chmod);
            flags += &flag("checksum", &copy.checksum);
            let on = [("link", copy.link), ("parents", copy.parents), ("keep-git-dir", copy.keep_git_dir.is_some())];
            flags.extend(on.into_iter().filter(|(_, on)| *on).map(|(name, _)| format!(" --{name}")));
            flags.extend(copy.unpack.map(|on| format!(" --unpack={on}")));
            flags.extend(copy.exclude.iter().map(|word| format!(" --exclude={}", word.text)));
            let sources = texts(&copy.sources) + &heredocs(&copy.heredocs);
            format!("{flags}{sources} -> {:?}", copy.destination.text)
        }
        Command::Env(pairs) | Command::Label(pairs) => {
            let equals = |pair: &Pair| if pair.old_form { " " } else { "=" };
            pairs.iter().map(|pair| format!(" {}{}{:?}", pair.name, equals(pair), pair.value)).collect()
        }
        Command::Arg(args) => {
            let default = |arg: &Arg| arg.default.as_ref().map(|value| format!("={value:?}")).unwrap_or_default();
            args.iter().map(|arg| format!(" {}{}", arg.name, default(arg))).collect()
        }
        Command::Expose(words) | Command::Volume(words) => texts(words),
        Command::Healthcheck(None) => " NONE".to_owned(),
        Command::Healthcheck(Some(check)) => {
            let times = [
                ("interval", check.interval),
                ("timeout", check.timeout),
                ("start-period", check.start_period),
                ("start-interval", check.start_interval),
            ];
            let times = times.into_iter().filter_map(|(name, time)| Some(format!(" --{name}={:?}", time?)));
            let retries = check.retries.map(|retries| format!(" --retries={retries}"));
            times.chain(retries).collect::<String>() + &line_of(&check.command)
        }
        Command::Maintainer(text) => format!(" {text:?}"),
        Command::Onbuild(onbuild) => format!(" {:?}", onbuild.trigger),
        Command::Shell(words) => format!(" {words:?}"),
        Command::Cmd(line) | Command::Entrypoint(line) => line_of(line),
        Command::StopSignal(word) | Command::User(word) | Command::Workdir(word) => format!(" {:?}", word.text),
    };
    format!("{line}:{column}{last} {name}{rest}")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(read(text).trim_end(), *expected, "\n--- of\n{text}");
    }
}

/// The same behind a FROM on a first line; the FROM is not shown.
#[track_caller]
fn check_inside(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let found = read(&format!("FROM b\n{text}"));
        let found = found.strip_prefix("1:1 FROM \"b\"\n").unwrap_or(&found);
        assert_eq!(found.trim_end(), *expected, "\n--- of\n{text}");
    }
}

#[test]
fn lines_are_joined_and_comments_go() {
    check(&[
        ("from b", "1:1 FROM \"b\""),
        ("\u{feff}FROM b", "1:1 FROM \"b\""),
        ("# c\n\n   # c\n  From b\r\nRUN a\r\n", "4:3 FROM \"b\"\n5:1 RUN \"a\""),
        ("FROM b\nRUN a \\\n  b \\\n\tc", "1:1 FROM \"b\"\n2:1-4 RUN \"a   b \\tc\""),
        ("FROM b\nRUN a \\ \t\n b", "1:1 FROM \"b\"\n2:1-3 RUN \"a  b\""),
        ("FROM b\r\nRUN a \\\r\n b\r\n", "1:1 FROM \"b\"\n2:1-3 RUN \"a  b\""),
        ("FROM b\nRUN a \\\n# c \\\n  # c\n b", "1:1 FROM \"b\"\n2:1-5 RUN \"a  b\""),
        ("FROM b\nRUN a \\\n\n  \n b", "1:1 FROM \"b\"\n2:1-5 RUN \"a  b\""),
        ("FROM b\nRUN a \\", "1:1 FROM \"b\"\n2:1 RUN \"a\""),
        ("FROM b\nRUN a \\\n# c", "1:1 FROM \"b\"\n2:1-3 RUN \"a\""),
        // Two backslashes at the end are an escaped one.
        ("FROM b\nRUN a \\\\\nCMD b", "1:1 FROM \"b\"\n2:1 RUN \"a \\\\\\\\\"\n3:1 CMD \"b\""),
        ("FROM b\nRUN a # no comment", "1:1 FROM \"b\"\n2:1 RUN \"a # no comment\""),
        ("FR\\\nOM b", "1:1-2 FROM \"b\""),
        ("\\\nFROM b", "2:1 FROM \"b\""),
        ("FROM b\n\\\n", "2:1 a line continuation leads to no instruction"),
        ("", "0:0 the file holds no instruction"),
        ("# c\n\n", "0:0 the file holds no instruction"),
    ]);
    assert_eq!(parse("FROM b\nRUN a \\\n\n b").unwrap().empty_continuations, [4]);
}

#[test]
fn directives_stand_first() {
    let directives = |text: &str| parse(text).unwrap().directives;
    let found = directives(
        "#!/usr/bin/env x\n# syntax = docker/dockerfile:1 \n#escape=`\n# CHECK=skip=all;error=true\nFROM b\n",
    );
    assert_eq!(found.syntax, Some(("docker/dockerfile:1".into(), 2)));
    assert_eq!(found.check, Some(("skip=all;error=true".into(), 4)));
    assert_eq!(found.escape(), '`');
    for late in
        ["# c\n# escape=`\nFROM b", "\n# escape=`\nFROM b", "# unknown=x\n# escape=`\nFROM b", "FROM b\n# escape=`"]
    {
        assert_eq!(directives(late).escape, None, "{late}");
    }
    check(&[
        ("# escape=`\nFROM b\nRUN a `\n b \\\nCMD c", "2:1 FROM \"b\"\n3:1-4 RUN \"a  b \\\\\"\n5:1 CMD \"c\""),
        ("# escape=x\nFROM b", "1:1 the escape character is a backslash or a backtick, not \"x\""),
        ("# escape=`\n# escape=`\nFROM b", "2:1 the directive \"escape\" is given twice"),
        ("# syntax=a\n#syntax=a\nFROM b", "2:1 the directive \"syntax\" is given twice"),
    ]);
}

#[test]
fn from_names_a_base_and_a_stage() {
    check(&[
        ("FROM --platform=linux/arm64 a:1 As X.y-1", "1:1 FROM --platform=linux/arm64 \"a:1\" --as=x.y-1"),
        ("ARG a=b c\nFROM $a", "1:1 ARG a=\"b\" c\n2:1 FROM \"$a\""),
        ("FROM", "1:1 FROM expects an image, or an image AS a name"),
        ("FROM a b", "1:1 FROM expects an image, or an image AS a name"),
        ("FROM a AS", "1:1 FROM expects an image, or an image AS a name"),
        ("FROM a IN b", "1:1 FROM expects an image, or an image AS a name"),
        (
            "FROM a AS 1b",
            "1:11 \"1b\" cannot name a stage: a letter comes first, then letters, digits, \"-\", \"_\" and \".\" may follow",
        ),
        ("FROM --platfrom=x a", "1:6 FROM knows no flag --platfrom; did you mean --platform?"),
        ("RUN a\nFROM b", "1:1 RUN stands before the first FROM, where only ARG may stand"),
        ("ARG a\n", "1:1 ARG a"),
    ]);
}

#[test]
fn misspelt_words_are_told_with_what_is_meant() {
    check(&[
        (
            "FORM a\nRUNN b\nXYZZY",
            "1:1 unknown instruction \"FORM\"; did you mean FROM?\n2:1 unknown instruction \"RUNN\"; did you mean RUN?\n3:1 unknown instruction \"XYZZY\"",
        ),
        ("FROM b\n  COPPY a b", "2:3 unknown instruction \"COPPY\"; did you mean COPY?"),
        ("FROM b\nENTRYPIONT x", "2:1 unknown instruction \"ENTRYPIONT\"; did you mean ENTRYPOINT?"),
        ("FROM b\nCOPY --chwon=1 a b", "2:6 COPY knows no flag --chwon; did you mean --chown?"),
        ("FROM b\nCMD --version", "2:5 CMD knows no flag --version"),
        ("FROM b\nCOPY \\\n  --from=a \\\n --lnk a b", "4:2 COPY knows no flag --lnk; did you mean --link?"),
        ("FROM b\nCOPY --from a b", "2:6 the flag --from needs a value: --from=VALUE"),
        ("FROM b\nCOPY --from=a --from=a a b", "2:15 the flag --from is given twice"),
        ("FROM b\nCOPY --link=maybe a b", "2:6 the flag --link is true or false, not \"maybe\""),
    ]);
}

#[test]
fn commands_are_for_the_shell_or_lists() {
    check_inside(&[
        ("RUN a 'b'  \"c\" $d", "2:1 RUN \"a 'b'  \\\"c\\\" $d\""),
        ("RUN [\"a\", \"b c\"]", "2:1 RUN [\"a\", \"b c\"]"),
        ("RUN [\"a\",\\\n \"b\"]", "2:1-3 RUN [\"a\", \"b\"]"),
        ("RUN ['a']", "2:1 RUN \"['a']\""),
        ("RUN [ -f a ] && b", "2:1 RUN \"[ -f a ] && b\""),
        ("RUN [\"a\"", "2:1 RUN \"[\\\"a\\\"\""),
        ("RUN [1]", "2:1 a JSON list of RUN holds strings alone"),
        ("RUN []", "2:1 RUN needs a program in its list"),
        ("RUN", "2:1 RUN \"\""),
        ("CMD []", "2:1 CMD []"),
        ("CMD", "2:1 CMD \"\""),
        ("CMD [\"\\u0041\", \"\"]", "2:1 CMD [\"A\", \"\"]"),
        ("ENTRYPOINT [\"a\"]", "2:1 ENTRYPOINT [\"a\"]"),
        ("ENTRYPOINT a b", "2:1 ENTRYPOINT \"a b\""),
        ("SHELL [\"/bin/bash\", \"-c\"]", "2:1 SHELL [\"/bin/bash\", \"-c\"]"),
        ("SHELL /bin/bash", "2:1 SHELL takes the form of a JSON list: SHELL [\"...\", \"...\"]"),
        ("SHELL []", "2:1 SHELL needs a program in its list"),
        ("SHELL", "2:1 SHELL needs a list: SHELL [\"/bin/sh\", \"-c\"]"),
        (
            "RUN --mount=type=cache,target=/c --mount=from=x --network=none --security=insecure a",
            "2:1 RUN --mount=type=cache,target=/c --mount=from=x --network=none --security=insecure \"a\"",
        ),
        (
            "RUN --mount=from=$x,target=/x a",
            "2:5 the source of a mount's \"from\" cannot hold a variable; name a stage with FROM ... AS and take that",
        ),
        ("RUN --moutn=x a", "2:5 RUN knows no flag --moutn; did you mean --mount?"),
    ]);
}

#[test]
fn heredocs_stand_below_their_instruction() {
    check_inside(&[
        ("RUN <<EOF\na\nb\nEOF\nCMD x", "2:1-5 RUN \"<<EOF\" <<EOF=\"a\\nb\\n\"\n6:1 CMD \"x\""),
        ("RUN <<EOF\nEOF", "2:1-3 RUN \"<<EOF\" <<EOF=\"\""),
        ("RUN cat <<E > /x\na\nE", "2:1-4 RUN \"cat <<E > /x\" <<E=\"a\\n\""),
        ("RUN 3<<E cat\na\nE", "2:1-4 RUN \"3<<E cat\" <<E=\"a\\n\""),
        ("RUN cat << E\na\nE", "2:1-4 RUN \"cat << E\" <<E=\"a\\n\""),
        ("RUN cat <<- E\n\ta\n\tE", "2:1-4 RUN \"cat <<- E\" <<-E=\"a\\n\""),
        ("RUN <<e'o'f\n$a\neof", "2:1-4 RUN \"<<e'o'f\" <<'eof=\"$a\\n\""),
        ("RUN <<$E\n$E", "2:1-3 RUN \"<<$E\" <<$E=\"\""),
        (
            "RUN <<A cat - <<'B c'\n1\nA\n# 2 \\\nB c",
            "2:1-6 RUN \"<<A cat - <<'B c'\" <<A=\"1\\n\" <<'B c=\"# 2 \\\\\\n\"",
        ),
        ("RUN <<-E\n\t\ta\n\t b\n\tE", "2:1-5 RUN \"<<-E\" <<-E=\"a\\n b\\n\""),
        ("RUN <<\"E\"\n$a\nE", "2:1-4 RUN \"<<\\\"E\\\"\" <<'E=\"$a\\n\""),
        ("RUN <<E\r\na\r\nE\r\n", "2:1-4 RUN \"<<E\" <<E=\"a\\r\\n\""),
        ("RUN cat <<<E", "2:1 RUN \"cat <<<E\""),
        ("RUN echo $((1<<2))\nCMD x", "2:1 RUN \"echo $((1<<2))\"\n3:1 CMD \"x\""),
        ("RUN echo \"<<E\"", "2:1 RUN \"echo \\\"<<E\\\"\""),
        ("RUN [\"a\", \"<<E\"]", "2:1 RUN [\"a\", \"<<E\"]"),
        ("RUN [ -f x ] || cat <<E\na\nE", "2:1-4 RUN \"[ -f x ] || cat <<E\" <<E=\"a\\n\""),
        ("CMD <<E", "2:1 CMD \"<<E\""),
        ("RUN <<EOF\na", "2:1 the heredoc \"EOF\" is not ended: a line that holds EOF alone is missing"),
        ("RUN a \\\n <<E\nb\nE", "2:1-5 RUN \"a  <<E\" <<E=\"b\\n\""),
        (
            "COPY --chmod=755 <<a <<\"b\" c /d/\n1\na\n2\nb",
            "2:1-6 COPY --chmod=755 \"c\" <<a=\"1\\n\" <<'b=\"2\\n\" -> \"/d/\"",
        ),
        ("ADD <<-x /y\n\t1\nx", "2:1-4 ADD <<-x=\"1\\n\" -> \"/y\""),
        ("COPY a <<b\nb", "2:8 a heredoc cannot be the destination of COPY"),
        ("ONBUILD RUN <<E\na\nE", "2:1-4 ONBUILD \"RUN <<E\\na\\nE\""),
    ]);
}

#[test]
fn copies_have_sources_and_a_destination() {
    check_inside(&[
        ("COPY a b c/", "2:1 COPY \"a\" \"b\" -> \"c/\""),
        ("COPY [\"a b\", \"c\"]", "2:1 COPY \"a b\" -> \"c\""),
        (
            "COPY --from=x --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude=b a b",
            "2:1 COPY --from=x --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude=b \"a\" -> \"b\"",
        ),
        (
            "ADD --checksum=sha256:1 --keep-git-dir=true --link=false --unpack=false http://a b",
            "2:1 ADD --checksum=sha256:1 --keep-git-dir --unpack=false \"http://a\" -> \"b\"",
        ),
        ("COPY", "2:1 COPY needs a source and a destination"),
        ("COPY a", "2:1 COPY needs two arguments at least: a source and a destination"),
        ("COPY [\"a\"]", "2:1 COPY needs two arguments at least: a source and a destination"),
        ("COPY [1, 2]", "2:1 a JSON list of COPY holds strings alone"),
        ("ADD --from=x a b", "2:5 ADD knows no flag --from"),
        ("COPY --checksum=x a b", "2:6 COPY knows no flag --checksum"),
    ]);
}

#[test]
fn names_have_values_in_two_forms() {
    check_inside(&[
        ("ENV a=1 b='2 3' c=4\\ 5 d=\"$a\"", "2:1 ENV a=\"1\" b=\"'2 3'\" c=\"4\\\\ 5\" d=\"\\\"$a\\\"\""),
        ("ENV a=1 \\\n    b=2", "2:1-3 ENV a=\"1\" b=\"2\""),
        ("ENV a  1  2 = 3", "2:1 ENV a \"1  2 = 3\""),
        ("ENV a=", "2:1 ENV a=\"\""),
        ("ENV a", "2:1 ENV needs a value: name=value"),
        ("ENV", "2:1 ENV needs at least one name=value"),
        ("ENV a=1 b", "2:9 ENV expects name=value, and \"b\" has no \"=\""),
        ("ENV =1", "2:5 ENV expects a name before \"=\""),
        ("LABEL a.b=1 \"c d\"=\"e f\"", "2:1 LABEL a.b=\"1\" \"c d\"=\"\\\"e f\\\"\""),
        ("LABEL a b c", "2:1 LABEL a \"b c\""),
        ("ARG a b=1 c=\"2 3\"", "2:1 ARG a b=\"1\" c=\"\\\"2 3\\\"\""),
        ("ARG", "2:1 ARG needs a name, or name=value"),
        ("ARG =1", "2:5 ARG expects a name before \"=\""),
    ]);
}

#[test]
fn the_others_take_what_they_take() {
    check_inside(&[
        ("EXPOSE 80 443/tcp 8000-8010/udp", "2:1 EXPOSE \"80\" \"443/tcp\" \"8000-8010/udp\""),
        ("EXPOSE", "2:1 EXPOSE needs at least one argument"),
        ("VOLUME /a /b", "2:1 VOLUME \"/a\" \"/b\""),
        ("VOLUME [\"/a b\"]", "2:1 VOLUME \"/a b\""),
        ("VOLUME", "2:1 VOLUME needs at least one argument"),
        ("WORKDIR /a b", "2:1 WORKDIR \"/a b\""),
        ("WORKDIR", "2:1 WORKDIR needs an argument"),
        ("USER a:b", "2:1 USER \"a:b\""),
        ("STOPSIGNAL 9", "2:1 STOPSIGNAL \"9\""),
        ("MAINTAINER a <b@c>", "2:1 MAINTAINER \"a <b@c>\""),
        ("ONBUILD COPY . /a", "2:1 ONBUILD \"COPY . /a\""),
        ("onbuild \\\n run a", "2:1-3 ONBUILD \"run a\""),
        ("ONBUILD", "2:1 ONBUILD needs an instruction"),
        ("ONBUILD FROM a", "2:9 FROM cannot be what ONBUILD triggers"),
        ("ONBUILD ONBUILD RUN a", "2:9 ONBUILD cannot be what ONBUILD triggers"),
        ("ONBUILD MAINTAINER a", "2:9 MAINTAINER cannot be what ONBUILD triggers"),
        ("ONBUILD COPPY a b", "2:9 unknown instruction \"COPPY\"; did you mean COPY?"),
        (
            "HEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --start-interval=500ms --retries=3 CMD a || b",
            "2:1 HEALTHCHECK --interval=90s --timeout=3s --start-period=5s --start-interval=500ms --retries=3 \"a || b\"",
        ),
        ("HEALTHCHECK cmd [\"a\"]", "2:1 HEALTHCHECK [\"a\"]"),
        ("HEALTHCHECK NONE", "2:1 HEALTHCHECK NONE"),
        ("HEALTHCHECK --interval=0s --retries=0 CMD a", "2:1 HEALTHCHECK \"a\""),
        ("HEALTHCHECK NONE a", "2:1 HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK", "2:1 HEALTHCHECK needs CMD with a command, or NONE"),
        ("HEALTHCHECK CMD", "2:1 HEALTHCHECK needs a command after CMD"),
        ("HEALTHCHECK curl a", "2:1 HEALTHCHECK expects CMD or NONE, not \"curl\""),
        ("HEALTHCHECK --interval=5 CMD a", "2:13 --interval expects a duration such as 30s or 1m30s, not \"5\""),
        ("HEALTHCHECK --timeout=1us CMD a", "2:13 --timeout is at least 1ms, not 1us"),
        ("HEALTHCHECK --retries=-1 CMD a", "2:13 --retries expects a number from 0 on, not \"-1\""),
    ]);
}

#[test]
fn a_trigger_is_read_where_its_image_is_named() {
    let at = Place::new(3, 1);
    let instruction = parse_trigger("RUN <<E\na\nE", at).unwrap();
    assert_eq!(show(&instruction), "3:1 RUN \"<<E\" <<E=\"a\\n\"");
    assert_eq!(parse_trigger("RUNN a", at).unwrap_err().at, at);
    assert!(parse_trigger("RUN a\nRUN b", at).is_err());
    assert!(parse_trigger("", at).is_err());
}
