//! What holds of every machine.
