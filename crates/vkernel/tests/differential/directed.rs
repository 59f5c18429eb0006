//! Chosen calls, compared one by one.
