//! `logging`.

use super::{
    At, Decoder,
    Field::{self, Read},
    units,
};
use crate::model::Logging;

pub const FIELDS: &[Field<Logging>] = &[
    Read("driver", |d, at, logging| {
        let Some(driver) = d.text(at) else { return };
        match driver.as_str() {
            "" => {}
            "json-file" | "local" | "none" => logging.driver = Some(driver),
            _ => d.later(at, format!("the driver \"{driver}\"")),
        }
    }),
    Read("options", |d, at, logging| {
        for entry in d.entries(at) {
            d.log_option(&entry.at, entry.name, logging);
        }
    }),
];

impl Decoder<'_> {
    fn log_option(&mut self, at: &At<'_>, name: &str, logging: &mut Logging) {
        let Some(Some(text)) = self.loose_text(at) else { return };
        match name {
            // Decimal units, as Docker's log drivers have them.
            "max-size" => match units::bytes(&text, 1000).filter(|bytes| *bytes > 0) {
                Some(bytes) => logging.max_size = Some(bytes),
                None if text == "-1" => {}
                None => return self.error(at, format!("must be a size such as `10m`, not \"{text}\"")),
            },
            "max-file" => match text.parse().ok().filter(|files: &u32| *files > 0) {
                Some(files) => logging.max_file = Some(files),
                None => return self.error(at, format!("must be a number of files, not \"{text}\"")),
            },
            _ => return self.later(at, "this option"),
        }
        logging.options.insert(name.to_owned(), text);
    }
}
