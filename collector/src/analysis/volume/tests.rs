//! Counts with a known past, and what is said of them.
