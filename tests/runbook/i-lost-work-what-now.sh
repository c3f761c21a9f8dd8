#!/usr/bin/env bash
# The first page: an editor has overwritten a file, and a reset took the rest.
. "$(dirname "$0")/lib.sh"
begin
git add -A && git reset --quiet --hard && git stash drop --quiet && echo "garbage" >src/one.txt
put path/to/file src/one.txt
SNAP=@~1 # the newest is the one after the accident
gives 1 "diff -rq" # they differ, as they should
answer "cp -i DIR/path/to/file path/to/file" y
skip "git vault runbook GV-2101" "nothing said REFUSED"
by_hand "The repository itself is gone" "rm -rf '$DIR'"
follow "I lost work, what now"
safe "what is there now and what was there before are both sealed; the file is back; the rest is in the restored copy"
restored "$DIR"
cmp src/one.txt "$TOP/original/src/one.txt"
restores "$VAULT" @~1
finish
