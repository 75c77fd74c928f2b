//! The coloured name in front of each line of a log: `web-1  | `.

/// Docker compose's colours in its order: five, then their bright forms.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1"];

/// Hands out colours by the order of appearance, and pads names to one width.
#[derive(Clone, Debug)]
pub struct Prefixes {
    colour: bool,
    /// `--no-log-prefix`
    none: bool,
    width: usize,
    given: usize,
}

/// What one container's lines begin with. Only its name changes when a longer one joins.
#[derive(Clone, Debug)]
pub struct Prefix {
    name: String,
    sgr: &'static str,
}

impl Prefixes {
    pub fn new(colour: bool, none: bool) -> Self {
        Self { colour, none, width: 0, given: 0 }
    }

    /// The next colour for `name`.
    pub fn add(&mut self, name: &str) -> Prefix {
        let sgr = COLOURS[self.given % COLOURS.len()];
        self.given += 1;
        self.width = self.width.max(name.chars().count());
        Prefix { name: name.to_owned(), sgr }
    }

    pub fn text(&self, prefix: &Prefix) -> String {
        if self.none {
            return String::new();
        }
        let plain = format!("{:<width$} |", prefix.name, width = self.width + 1);
        if self.colour { format!("\x1b[{}m{plain}\x1b[0m ", prefix.sgr) } else { plain + " " }
    }
}

impl Prefixes {
    /// What lines of a watch begin with, below those of the containers.
    pub fn mark(&self) -> String {
        if self.none {
            return String::new();
        }
        let plain = format!("{:<width$} ⦿ ", "", width = self.width + 1);
        if self.colour { format!("\x1b[92m{plain}\x1b[0m") } else { plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_padded_to_the_longest_and_one_more() {
        let mut prefixes = Prefixes::new(false, false);
        let (web, proxy) = (prefixes.add("web-1"), prefixes.add("proxy-1"));
        assert_eq!(prefixes.text(&web), "web-1    | ");
        assert_eq!(prefixes.text(&proxy), "proxy-1  | ");
    }

    #[test]
    fn a_watch_marks_its_lines_where_names_end() {
        let mut prefixes = Prefixes::new(false, false);
        let web = prefixes.add("web-1");
        assert_eq!(prefixes.mark() + "x", "       ⦿ x");
        assert_eq!(prefixes.text(&web), "web-1  | ");
        assert_eq!(Prefixes::new(true, true).mark(), "");
    }

    #[test]
    fn colours_go_round_in_docker_s_order() {
        let mut prefixes = Prefixes::new(true, false);
        let all: Vec<Prefix> = (0..11).map(|_| prefixes.add("a")).collect();
        assert_eq!(prefixes.text(&all[0]), "\x1b[36ma  |\x1b[0m ");
        assert_eq!(prefixes.text(&all[5]), "\x1b[36;1ma  |\x1b[0m ");
        assert_eq!(prefixes.text(&all[10]), prefixes.text(&all[0]));
    }

    #[test]
    fn no_prefix_is_nothing_at_all() {
        let mut prefixes = Prefixes::new(true, true);
        let web = prefixes.add("web-1");
        assert_eq!(prefixes.text(&web), "");
    }
}
