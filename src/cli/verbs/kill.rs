//! `muster kill`: a signal to the containers' first processes.

use super::existing;
use crate::{
    cli::{context::Context, exit::Outcome},
    model::{intent::Intent, signal as signals},
};

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

/// `SIGHUP`, `hup`, `1`, `RTMIN+3`.
fn signal(text: &str) -> Result<i32, String> {
    signals::parse(text).ok_or_else(|| format!("there is no signal {text:?}; they have the numbers 1 to 64"))
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
