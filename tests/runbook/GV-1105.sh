#!/usr/bin/env bash
# The answer cannot be written where it should go.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused bash -c 'git vault cat @latest:notes.txt >/dev/full'
put SNAP:PATH "$SNAP:notes.txt"; put FILE "$TOP/notes"
follow
cmp "$SOURCE/notes.txt" "$TOP/notes" || fail "the file is another"
safe "the file is written where there is room; nothing was touched"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"
finish
