//! Somebody else works in the directory that a restore builds in: nothing outside is ever touched, nothing is overwritten.
