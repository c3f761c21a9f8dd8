//! Places that a workspace is restored to, and how they are kept: the file systems, the room, the masks.
