//! RUN: what a program sees, and what of it comes into the layer.

use crate::{
    Test,
    world::{Plans, World, tree},
};

pub const TESTS: &[Test] = &[
    ("what_a_program_changes_becomes_the_layer", what_a_program_changes_becomes_the_layer),
];

fn what_a_program_changes_becomes_the_layer() {
    let world = World::new();
    world.file("hello.txt", "hello");
    let mut plans = Plans::new();
    let base = plans.base();
    let copied = plans.copy(Some(base), &["hello.txt"], "/srv/");
    let run = plans.run(copied, "cat /srv/hello.txt; echo made > /made; rm /etc/group; ls / >&2");
    let image = world.build(plans.plan(run));
    assert!(world.output().starts_with("hello"), "{}", world.output());
    assert_eq!(image.layers.len(), 3);
    assert_eq!(tree(&image.layers[0]), ["d 755 0:0 etc", "whiteout etc/group", "f 644 0:0 made = made\n"]);
    assert_eq!(tree(&image.layers[1]), ["d 755 0:0 srv", "f 644 0:0 srv/hello.txt = hello"]);
    world.assert_clean();
}
