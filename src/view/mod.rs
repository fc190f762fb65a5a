//! Durable records and workflows shaped for people: the same for the terminal, JSON and the page.

pub mod graph;
