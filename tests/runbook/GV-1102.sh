#!/usr/bin/env bash
# Several snapshots begin with these letters.
. "$(dirname "$0")/lib.sh"
begin
until LETTER=$(ls "$VAULT/snapshots" | cut -c1 | sort | uniq -d | head -n 1) && [ -n "$LETTER" ]; do seal SNAP; done
AS_SEALED=$TOP/original
SNAP=$(ls "$VAULT/snapshots" | grep "^$LETTER" | head -n 1)
[ "$SNAP" != "$EARLIER" ] || AS_SEALED=$TOP/before
keep vault "$VAULT"
refused git vault restore "$LETTER" "$DIR"
grep -q "$SNAP" <<<"$OUT" || fail "the ids are named"
follow
safe "nothing was guessed, nothing was written, and the longer name is found"
unchanged vault "$VAULT"
[ ! -e "$DIR" ]
restores "$VAULT" "$SNAP" "$AS_SEALED"
finish
