//! The admin's command.

fn main() {}
