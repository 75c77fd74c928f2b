//! What builds look like while they go on: BuildKit's numbered lines, a list that is redrawn, JSON, or nothing.
//!
//! Several images may be built at once; a step is known by its number, which counts over all of them.

use super::{
    Mode,
    canvas::{self, Canvas},
    json, warning,
};
use crate::{
    build::{Event, op::StepId},
    cli::output::{Writer, duration, failure::printable, table},
};
use std::{
    collections::HashMap,
    io::{self, Write},
    time::{Duration, Instant},
};

/// Lines of a program's output that stand below its step while it runs.
const TAIL: usize = 4;
/// Bytes of a line that a program does not end.
const MAX_LINE: usize = 4096;

#[derive(Debug)]
struct Step {
    /// `[web 2/5] RUN make`
    title: String,
    state: State,
    began: Instant,
    /// The beginning of a line whose end has not come.
    open: Vec<u8>,
    tail: Vec<String>,
    /// Bytes of a download.
    bytes: Option<(u64, Option<u64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Working,
    Cached,
    Done(Duration),
    Failed,
    Cancelled,
}

pub struct View {
    mode: Mode,
    steps: Vec<Step>,
    /// By build and its step.
    numbers: HashMap<(usize, Number), usize>,
    canvas: Canvas,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Number {
    Step(StepId),
    Export,
}

impl View {
    /// `mode` is resolved.
    pub fn new(mode: Mode) -> Self {
        Self { mode, steps: Vec::new(), numbers: HashMap::new(), canvas: Canvas::default() }
    }

    /// `build` tells the builds apart; `title` is that of the step that the event is about.
    pub fn take(
        &mut self,
        build: usize,
        event: Event,
        title: impl FnOnce(StepId) -> String,
        now: Instant,
        err: &mut Writer,
    ) -> io::Result<()> {
        match event {
            // Whoever asks for a title has it by then.
            Event::Named { .. } => {}
            Event::Started(step) => self.begin((build, Number::Step(step)), title(step), now, err)?,
            Event::Exporting => self.begin((build, Number::Export), title(StepId(usize::MAX)), now, err)?,
            Event::Exported => self.exported((build, Number::Export), now, err)?,
            Event::Cached(step) => {
                self.begin((build, Number::Step(step)), title(step), now, err)?;
                self.end((build, Number::Step(step)), State::Cached, "", err)?;
            }
            Event::Output { step, bytes, .. } => self.output((build, Number::Step(step)), &bytes, now, err)?,
            Event::Fetched { step, bytes, total } => {
                if let Some(step) = self.step((build, Number::Step(step))) {
                    step.bytes = Some((bytes, total));
                }
            }
            Event::Done { step, took } => self.end((build, Number::Step(step)), State::Done(took), "", err)?,
            Event::Failed { step, message } => self.end((build, Number::Step(step)), State::Failed, &message, err)?,
            Event::Cancelled(step) => self.end((build, Number::Step(step)), State::Cancelled, "", err)?,
            Event::Warning(text) => {
                self.canvas.clear(err)?;
                match self.mode {
                    Mode::Json => json::warning(&text, err)?,
                    _ => warning(&text, err)?,
                }
            }
        }
        self.tick(now, err)
    }

    /// The image of a build is there.
    pub fn built(&mut self, build: usize, name: &str, now: Instant, err: &mut Writer) -> io::Result<()> {
        let export = (build, Number::Export);
        if let Some(step) = self.step(export) {
            step.tail = vec![format!("naming to {name}")];
        }
        self.exported(export, now, err)?;
        self.tick(now, err)
    }

    fn exported(&mut self, export: (usize, Number), now: Instant, err: &mut Writer) -> io::Result<()> {
        match self.step(export) {
            Some(step) if step.state == State::Working => {
                let took = now.duration_since(step.began);
                self.end(export, State::Done(took), "", err)
            }
            _ => Ok(()),
        }
    }

    /// Moves the clocks of a redrawn view.
    pub fn tick(&mut self, now: Instant, err: &mut Writer) -> io::Result<()> {
        if self.is_animated() && !self.steps.is_empty() {
            let lines = self.draw(now, err);
            self.canvas.draw(&lines, err)?;
        }
        Ok(())
    }

    pub fn is_animated(&self) -> bool {
        self.mode == Mode::Tty
    }

    fn step(&mut self, key: (usize, Number)) -> Option<&mut Step> {
        let number = *self.numbers.get(&key)?;
        self.steps.get_mut(number)
    }

    fn begin(&mut self, key: (usize, Number), title: String, now: Instant, err: &mut Writer) -> io::Result<()> {
        if self.numbers.contains_key(&key) {
            return Ok(());
        }
        let (number, title) = (self.steps.len(), printable(&title));
        match self.mode {
            Mode::Plain | Mode::Auto => writeln!(err, "#{} {title}", number + 1)?,
            Mode::Json => json::step(&title, "Working", "Building", None, err)?,
            Mode::Tty | Mode::Quiet => {}
        }
        self.numbers.insert(key, number);
        let (open, tail) = (Vec::new(), Vec::new());
        self.steps.push(Step { title, state: State::Working, began: now, open, tail, bytes: None });
        Ok(())
    }

    fn output(&mut self, key: (usize, Number), bytes: &[u8], now: Instant, err: &mut Writer) -> io::Result<()> {
        let Some(&number) = self.numbers.get(&key) else { return Ok(()) };
        let mode = self.mode;
        let Some(step) = self.steps.get_mut(number) else { return Ok(()) };
        step.open.extend_from_slice(bytes);
        let since = now.duration_since(step.began).as_secs_f64();
        for line in complete_lines(&mut step.open) {
            match mode {
                Mode::Plain | Mode::Auto => writeln!(err, "#{} {since:.3} {line}", number + 1)?,
                Mode::Json => json::step(&step.title, "Working", "Output", Some(&line), err)?,
                Mode::Tty | Mode::Quiet => {}
            }
            step.tail.push(line);
            if step.tail.len() > TAIL {
                step.tail.remove(0);
            }
        }
        Ok(())
    }

    fn end(&mut self, key: (usize, Number), state: State, message: &str, err: &mut Writer) -> io::Result<()> {
        let Some(&number) = self.numbers.get(&key) else { return Ok(()) };
        let mode = self.mode;
        let Some(step) = self.steps.get_mut(number) else { return Ok(()) };
        // A last line may lack its end.
        if !step.open.is_empty() {
            step.open.push(b'\n');
            let began = step.began;
            self.output(key, b"", began, err)?;
        }
        let Some(step) = self.steps.get_mut(number) else { return Ok(()) };
        step.state = state;
        let (status, text) = match state {
            State::Working => return Ok(()),
            State::Cached => ("Done", "CACHED".to_owned()),
            State::Done(took) => ("Done", format!("DONE {:.1}s", took.as_secs_f64())),
            State::Failed => ("Error", format!("ERROR: {}", printable(message))),
            State::Cancelled => ("Error", "CANCELED".to_owned()),
        };
        match mode {
            Mode::Plain | Mode::Auto => writeln!(err, "#{} {text}", number + 1)?,
            Mode::Json => json::step(&step.title, status, &text, None, err)?,
            Mode::Tty | Mode::Quiet => {}
        }
        Ok(())
    }

    /// The newest steps, with the output of those that are at work.
    fn draw(&mut self, now: Instant, err: &Writer) -> Vec<String> {
        let (rows, columns) = canvas::size();
        let (elapsed, spinner) = (self.canvas.elapsed(now), self.canvas.spinner(now));
        let done = self.steps.iter().filter(|step| step.state != State::Working).count();
        let mut lines = Vec::new();
        for step in &self.steps {
            lines.push(draw_step(step, spinner, columns, now, err));
            if matches!(step.state, State::Working) {
                let fit = |line: &String| table::ellipsis(&format!("      {line}"), columns.saturating_sub(1).max(10));
                lines.extend(step.tail.iter().map(|line| err.paint("2", &fit(line))));
            }
        }
        let room = rows.saturating_sub(2).max(1);
        let hidden = lines.len().saturating_sub(room);
        let header = format!("[+] Building {:.1}s ({done}/{})", elapsed.as_secs_f64(), self.steps.len());
        std::iter::once(header).chain(lines.into_iter().skip(hidden)).collect()
    }
}

fn draw_step(step: &Step, spinner: &str, columns: usize, now: Instant, err: &Writer) -> String {
    let (sgr, mark, time) = match step.state {
        State::Working => ("33", spinner, format!("{:.1}s", now.duration_since(step.began).as_secs_f64())),
        State::Cached => ("34", "=", "cached".to_owned()),
        State::Done(took) => ("32", "✔", format!("{:.1}s", took.as_secs_f64())),
        State::Failed => ("31", "✘", "failed".to_owned()),
        State::Cancelled => ("33", "!", "canceled".to_owned()),
    };
    let bytes = match (step.state, step.bytes) {
        (State::Working, Some((bytes, Some(total)))) => {
            format!("{}/{}  ", duration::size(bytes), duration::size(total))
        }
        (State::Working, Some((bytes, None))) => format!("{}  ", duration::size(bytes)),
        _ => String::new(),
    };
    let time = format!("{bytes}{time}");
    let room = columns.saturating_sub(time.chars().count() + 6).max(10);
    let title = table::ellipsis(&step.title, room);
    format!(" {} {title:<room$}  {time}", err.paint(sgr, mark))
}

/// Takes whole lines out of `open`. What a program writes moves no cursor here: of a line that it overwrites, by a
/// carriage return, only the last state stays, and control characters are dropped.
fn complete_lines(open: &mut Vec<u8>) -> Vec<String> {
    let Some(last) = open.iter().rposition(|byte| *byte == b'\n') else {
        if open.len() <= MAX_LINE {
            return Vec::new();
        }
        return vec![readable(&std::mem::take(open))];
    };
    let rest = open.split_off(last + 1);
    let whole = std::mem::replace(open, rest);
    whole[..last].split(|byte| *byte == b'\n').map(readable).collect()
}

fn readable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line);
    String::from_utf8_lossy(shown).chars().filter(|c| *c == '\t' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build::Stream, cli::output::writer::capture};

    fn told(mode: Mode, events: Vec<Event>) -> String {
        let (mut err, captured) = capture::writer(false);
        let mut view = View::new(mode);
        let now = Instant::now();
        let title = |step: StepId| match step.0 {
            usize::MAX => "[web] exporting".to_owned(),
            number => format!("[web {}/2] RUN x", number + 1),
        };
        for event in events {
            view.take(0, event, title, now, &mut err).unwrap();
        }
        view.built(0, "app-web", now, &mut err).unwrap();
        err.flush().unwrap();
        captured.text()
    }

    fn output(step: usize, text: &str) -> Event {
        Event::Output { step: StepId(step), stream: Stream::Output, bytes: text.into() }
    }

    #[test]
    fn what_others_have_written_moves_no_cursor() {
        let events = || {
            let message = "cannot unpack \x1b]0;evil\x07\x1b[2J: \u{9b}31mno\n  second line".to_owned();
            vec![
                Event::Warning("it is no cache but a `\x1b[2Japplication/x`\r".into()),
                Event::Started(StepId(0)),
                Event::Failed { step: StepId(0), message },
            ]
        };
        for mode in [Mode::Plain, Mode::Quiet, Mode::Json] {
            let text = told(mode, events());
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
            assert!(text.contains("[2Japplication/x"), "{text:?}");
        }
        assert!(told(Mode::Plain, events()).contains("[2J: 31mno\n  second line\n"));
    }

    #[test]
    fn plain_lines_carry_the_number_of_their_step() {
        let events = vec![
            Event::Cached(StepId(0)),
            Event::Started(StepId(1)),
            output(1, "a\nhalf"),
            output(1, " whole\r\n10%\r20%\r\n\x1b[2Jclear"),
            Event::Done { step: StepId(1), took: Duration::from_millis(1234) },
            Event::Exporting,
            Event::Exported,
            Event::Named { step: StepId(7), title: "cache".into() },
            Event::Started(StepId(7)),
            Event::Done { step: StepId(7), took: Duration::ZERO },
        ];
        insta::assert_snapshot!(told(Mode::Plain, events), @r"
        #1 [web 1/2] RUN x
        #1 CACHED
        #2 [web 2/2] RUN x
        #2 0.000 a
        #2 0.000 half whole
        #2 0.000 20%
        #2 0.000 [2Jclear
        #2 DONE 1.2s
        #3 [web] exporting
        #3 DONE 0.0s
        #4 [web 8/2] RUN x
        #4 DONE 0.0s
        ");
    }

    #[test]
    fn a_failure_is_told_where_it_happened() {
        let message = "exit code: 2".to_owned();
        let events = vec![
            Event::Started(StepId(0)),
            Event::Started(StepId(1)),
            Event::Failed { step: StepId(1), message },
            Event::Cancelled(StepId(0)),
            Event::Warning("beware".into()),
        ];
        insta::assert_snapshot!(told(Mode::Plain, events), @r"
        #1 [web 1/2] RUN x
        #2 [web 2/2] RUN x
        #2 ERROR: exit code: 2
        #1 CANCELED
        warning: beware
        ");
    }

    #[test]
    fn quiet_says_nothing_and_json_is_one_object_a_line() {
        let events = || vec![Event::Started(StepId(0)), output(0, "x\n"), Event::Cached(StepId(1))];
        assert_eq!(told(Mode::Quiet, events()), "");
        for line in told(Mode::Json, events()).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["id"].as_str().unwrap().starts_with("[web "));
        }
    }

    #[test]
    fn a_line_without_end_does_not_grow() {
        let mut open = vec![b'x'; MAX_LINE + 1];
        assert_eq!(complete_lines(&mut open).len(), 1);
        assert!(open.is_empty());
    }
}
