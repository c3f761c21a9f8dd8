//! Files of the vault that the system fails to read, or that shrink while they are read: refused, and never a signal.
