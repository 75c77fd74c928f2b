//! One file a verb: its flags, and what it does with them. `converge` holds the flags that several verbs share.

pub mod config;
pub mod converge;
pub mod create;
pub mod down;
pub mod exec;
pub mod existing;
pub mod explain;
pub mod images;
pub mod kill;
pub mod load;
pub mod logs;
pub mod ls;
pub mod plan;
pub mod port;
pub mod ps;
pub mod pull;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod start;
pub mod stop;
pub mod top;
pub mod up;
pub mod version;
pub mod watch;
