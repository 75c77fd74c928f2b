//! Identities: containers, networks and images are named by ids that never change.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The first twelve digits, the form that people see; a `sha256:` prefix is left out.
            pub fn short(&self) -> &str {
                let digits = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
                digits.get(..12).unwrap_or(digits)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// 64 hexadecimal digits, random, as Docker's.
    ContainerId
);
id!(
    /// 64 hexadecimal digits, random.
    NetworkId
);
id!(
    /// `sha256:<config digest>` of an image, or `rootfs:<directory>` for a plain directory.
    ImageId
);

/// Id from random bytes that the caller draws: this layer has no source of randomness.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
