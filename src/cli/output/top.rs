//! `top`: processes of containers.
