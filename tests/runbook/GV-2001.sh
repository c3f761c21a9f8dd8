#!/usr/bin/env bash
# A file of the workspace cannot be read.
. "$(dirname "$0")/lib.sh"
need_permissions
begin
keep vault "$VAULT"
chmod 000 untracked.txt
refused git vault snapshot
unchanged vault "$VAULT"
put /path/in/the/repository /untracked.txt
skip "3:" "it is to be kept"
follow
restores "$VAULT" @latest "$SOURCE"

note "it need not be kept"
unset "VALUE[/path/under/WHAT]"; chmod u-r untracked.txt && echo more >>notes.txt && rm -r "$TOP/disk/workspace-copy"
refused git vault snapshot
skip "2:" "it is not mine"
gives 1 "cp -a ." # it cannot read it either
follow
safe "the file is in the snapshot, or its absence is stated"
git vault show | grep -A3 "LEFT OUT" | grep untracked
restores "$VAULT" "$SNAP"
finish
