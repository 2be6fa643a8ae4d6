//! A probe asks nothing but what it was told to, within its bounds. What it sees is shown in `tests/lab`.
