//! `muster kill`: a signal to the containers' first processes.

use super::existing;
use crate::{
    cli::{context::Context, exit::Outcome},
    model::intent::Intent,
};
use nix::sys::signal::Signal;

/// Force stop service containers
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Signal to send to the containers, by name or number
    #[arg(short, long, default_value = "SIGKILL", value_parser = signal)]
    signal: i32,
    /// Remove containers for services not defined in the Compose files
    #[arg(long)]
    remove_orphans: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let intent = Intent::Kill { services: args.services, signal: args.signal, remove_orphans: args.remove_orphans };
    existing::carry_out(cx, target, intent, None)
}

/// `SIGHUP`, `hup`, `1`; real-time signals by number.
fn signal(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err("signals have the numbers 1 to 64".into()) };
    }
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse::<Signal>().map(|signal| signal as i32).map_err(|_| format!("there is no signal {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::signal;

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        for (text, number) in [("SIGHUP", 1), ("hup", 1), ("9", 9), ("term", 15), ("34", 34)] {
            assert_eq!(signal(text), Ok(number));
        }
        for wrong in ["0", "65", "SIGNOT", "", "-1"] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }
}
