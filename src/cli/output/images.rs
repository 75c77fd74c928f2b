//! `images`: the images that a project's containers run.
