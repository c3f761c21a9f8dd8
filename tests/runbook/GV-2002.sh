#!/usr/bin/env bash
# A file changes every time it is looked at.
. "$(dirname "$0")/lib.sh"
need strace
begin
keep vault "$VAULT"
rm "$TOP/bin/git-vault" # on a slow disk, so that it changes between two looks for certain
printf '#!/bin/sh\nexec strace -f -qq -o /dev/null -P "%s" -e inject=read:delay_exit=20000 "%s" "$@"\n' "$SOURCE/server.log" "$PROGRAM" >"$TOP/bin/git-vault"
chmod +x "$TOP/bin/git-vault"
while :; do echo "$RANDOM" >>server.log; done & HELPERS+=($!)
LOOP=$!
refused git vault snapshot
unchanged vault "$VAULT"
put /path/in/the/repository /server.log
by_hand "Let builds, servers" "kill $LOOP"
skip "3:" "the server has ended"
follow
restores "$VAULT" @latest "$SOURCE"

note "it goes on for ever and need not be kept"
while :; do echo "$RANDOM" >>server.log; done & HELPERS+=($!)
refused git vault snapshot
gives GV-2002 "2:git vault snapshot"
follow
safe "one moment of everything else is sealed"
kill $!; wait 2>/dev/null || :
rm server.log
restores "$VAULT" @latest "$SOURCE"
finish
