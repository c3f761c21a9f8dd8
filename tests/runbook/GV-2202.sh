#!/usr/bin/env bash
# There is too little room at the destination.
. "$(dirname "$0")/lib.sh"
need_mounts
begin
mounted -t tmpfs -o size=64k tmpfs "$TOP/small"
DIR=$TOP/small/restored
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
follow
safe "nothing was written there; on a disk with room the snapshot is restored"
[ -z "$(ls -A "$TOP/small")" ]
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$TOP/disk/restored"
finish
