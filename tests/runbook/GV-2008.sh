#!/usr/bin/env bash
# The repository belongs to another user.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skipped "needs root, to give the repository to somebody else"
begin
keep vault "$VAULT"
chown -R 65534 "$SOURCE"
keep source "$SOURCE"
refused git vault snapshot
put /path/to/repository "$SOURCE"
follow
safe "a person has said that it is to be trusted; the snapshot is sealed"
restores "$VAULT" "$SNAP"
[ "$(git vault list | grep -c main)" -ge 2 ]
finish
