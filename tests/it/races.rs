//! The source changes, is swapped or vanishes while it is read; the clock jumps; one vault has two paths.
